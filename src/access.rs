//! The role that a caller has on a drawing: a cache in front of the store, so that a write costs no extra read.
//!
//! Owns the cache and its freshness: an entry lives for at most `ROLE_CACHE_TTL`, and goes at once when a
//! control message says so. Only roles are cached, never their absence, so that a user who was just let in gets
//! in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use quick_cache::sync::Cache;
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bus::ControlMessage,
    error::{Error, ErrorCode},
    limits,
    model::{DrawingId, Role, UserId},
    store::{Members, StoreError},
};

/// Roles one node remembers.
/// At the bound, the role is looked up again.
const ROLE_CACHE_ENTRIES: usize = 100_000;

/// Role look-ups answered by one query of the store.
const ROLE_BATCH: usize = 512;
/// Such queries that may be under way at once: one that hangs must not stop them all.
const ROLE_QUERIES: usize = 4;
/// Role look-ups that may wait for the query before; further callers wait for a place.
const ROLE_QUEUE: usize = 4_096;

/// Answers for roles.
#[derive(Clone)]
pub struct Access {
    /// The ways to the store, taken in turn: who asks while one is busy is answered by its next query.
    questions: Arc<[mpsc::Sender<Question>]>,
    turn: Arc<AtomicUsize>,
    /// Roles and when they were read.
    roles: Arc<Cache<(DrawingId, UserId), (Role, Instant)>>,
}

impl Access {
    /// An empty cache in front of `members`.
    #[must_use]
    pub fn start(members: &Arc<dyn Members>, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let way = |_| {
            let (questions, asked) = mpsc::channel(ROLE_QUEUE);
            tasks.spawn(answer_questions(members.clone(), asked, stop.clone()));
            questions
        };
        let questions = (0..ROLE_QUERIES).map(way).collect();
        Self { questions, turn: Arc::default(), roles: Arc::new(Cache::new(ROLE_CACHE_ENTRIES)) }
    }

    /// The role of `user` on `drawing`, at most `ROLE_CACHE_TTL` old.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn role(&self, drawing: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError> {
        let key = (drawing, user.clone());
        match self.roles.get(&key) {
            Some((role, read_at)) if read_at.elapsed() < limits::ROLE_CACHE_TTL => Ok(Some(role)),
            _ => self.fresh_role(drawing, user).await,
        }
    }

    /// The role as the store has it now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fresh_role(&self, drawing: DrawingId, user: &UserId) -> Result<Option<Role>, StoreError> {
        // Counted from before the read, so that the answer is never older than the entry says.
        let read_at = Instant::now();
        let key = (drawing, user.clone());
        let (reply, answer) = oneshot::channel();
        let question = Question { of: key.clone(), reply };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.questions.len();
        self.questions[turn].send(question).await.map_err(|_| StoreError::stopped())?;
        let role = answer.await.map_err(|_| StoreError::stopped())??;
        match role {
            Some(role) => self.roles.insert(key, (role, read_at)),
            None => drop(self.roles.remove(&key)),
        }
        Ok(role)
    }

    /// The role of `user`, of which `permits` must hold. If a cached role does not suffice, the store is asked
    /// first: the role may have been raised a moment ago.
    ///
    /// # Errors
    /// `not_found` without a role; what `permits` returned when the role does not suffice.
    pub async fn require<E>(
        &self,
        drawing: DrawingId,
        user: &UserId,
        permits: impl Fn(Role) -> Result<(), E>,
    ) -> Result<Role, Error>
    where
        Error: From<E>,
    {
        let is_permitted = |role: &Option<Role>| role.is_some_and(|role| permits(role).is_ok());
        let mut role = self.role(drawing, user).await?;
        if role.is_some() && !is_permitted(&role) {
            role = self.fresh_role(drawing, user).await?;
        }
        let role = role.ok_or_else(|| Error::not_found("the drawing"))?;
        permits(role)?;
        Ok(role)
    }

    /// Any role will do.
    ///
    /// # Errors
    /// `not_found` without a role.
    pub async fn require_member(&self, drawing: DrawingId, user: &UserId) -> Result<Role, Error> {
        self.require(drawing, user, |_| Ok::<(), Error>(())).await
    }

    /// Only a role that may manage will do, as the store has it now: who manages could undo their own
    /// demotion while a cache still knows them as owner.
    ///
    /// # Errors
    /// `not_found` without a role, `forbidden` with another.
    pub async fn require_manager(&self, drawing: DrawingId, user: &UserId) -> Result<Role, Error> {
        let role = self.fresh_role(drawing, user).await?.ok_or_else(|| Error::not_found("the drawing"))?;
        if role.may_manage() {
            Ok(role)
        } else {
            Err(Error::new(ErrorCode::Forbidden, "only an owner may do this"))
        }
    }

    /// Forgets what a control message makes outdated.
    pub fn apply(&self, message: &ControlMessage) {
        match message {
            ControlMessage::Role { drawing_id, user_id, .. } => {
                self.roles.remove(&(*drawing_id, user_id.clone()));
            }
            ControlMessage::Deleted { drawing_id } => {
                self.roles.retain(|(drawing, _), _| drawing != drawing_id);
            }
            ControlMessage::Grown { .. } => (),
        }
    }
}

/// Somebody wants to know a role as the store has it now.
struct Question {
    of: (DrawingId, UserId),
    reply: oneshot::Sender<Result<Option<Role>, StoreError>>,
}

/// Answers those who have asked while the query before was under way, all with one.
async fn answer_questions(
    members: Arc<dyn Members>,
    mut asked: mpsc::Receiver<Question>,
    stop: CancellationToken,
) {
    let mut questions = Vec::with_capacity(ROLE_BATCH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            count = asked.recv_many(&mut questions, ROLE_BATCH) => if count == 0 { return },
        }
        let pairs: Vec<_> = questions.iter().map(|question| question.of.clone()).collect();
        let read = tokio::time::timeout(limits::STORE_CALL_TIMEOUT, members.roles(&pairs)).await;
        let roles = read.unwrap_or_else(|_| Err(StoreError::timed_out()));
        for Question { of, reply } in questions.drain(..) {
            let role = match &roles {
                Ok(roles) => Ok(roles.get(&of).copied()),
                Err(error) => Err(error.again()),
            };
            // Whoever hung up needs no answer.
            let _ = reply.send(role);
        }
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

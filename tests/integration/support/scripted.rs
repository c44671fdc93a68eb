//! A store and a blob store that fail, hang or pause at one call of many, the same for both.

use std::{
    fmt,
    future::Future,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, path::Path,
};
use revcast::store::{ReadRange, Store, StoreError};
use tokio::sync::Semaphore;

use super::watched::{Call, Watch, WatchedStore};

/// The fate of a call, before its effect or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    HangsBefore,
    HangsAfter,
    FailsBefore,
    FailsAfter,
    /// It waits until the script goes on.
    Pauses,
    /// It fails, and so do all after it.
    Down,
}

/// The script of calls, which says at which one a fault happens.
pub struct Script {
    /// The call, from 1, and its fault; none, to watch.
    plan: Option<(usize, Fault)>,
    calls: AtomicUsize,
    puts: AtomicUsize,
    reads: Mutex<Vec<ReadRange>>,
    /// True if the blob store is out of reach, whatever the plan says.
    are_blobs_away: AtomicBool,
    /// Has a permit once the planned call was reached.
    reached: Semaphore,
    /// Has permits once the script goes on.
    gate: Semaphore,
}

impl Script {
    /// Lets everything pass.
    pub fn idle() -> Arc<Self> {
        Self::with(None)
    }

    /// Spoils the call of this number.
    pub fn at(nth: usize, fault: Fault) -> Arc<Self> {
        Self::with(Some((nth, fault)))
    }

    fn with(plan: Option<(usize, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            plan,
            calls: AtomicUsize::new(0),
            puts: AtomicUsize::new(0),
            reads: Mutex::default(),
            are_blobs_away: AtomicBool::new(false),
            reached: Semaphore::new(0),
            gate: Semaphore::new(0),
        })
    }

    /// The store by this script.
    pub fn store(self: &Arc<Self>, inner: &Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(WatchedStore { inner: inner.clone(), watch: self.clone() })
    }

    /// The blob store by this script.
    pub fn objects(self: &Arc<Self>, inner: &Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(ScriptedObjects { inner: inner.clone(), script: self.clone() })
    }

    /// Waits for the planned call.
    pub async fn is_reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// Lets the paused call go on.
    pub fn go_on(&self) {
        self.gate.add_permits(1);
    }

    pub fn take_blobs_away(&self, are_away: bool) {
        self.are_blobs_away.store(are_away, Ordering::SeqCst);
    }

    /// The number of blobs that were to be written.
    pub fn puts(&self) -> usize {
        self.puts.load(Ordering::SeqCst)
    }

    /// The number of calls of either store.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The reads of logs so far, and forgets them.
    pub fn take_reads(&self) -> Vec<ReadRange> {
        std::mem::take(&mut *self.reads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn spoil<T, E>(
        &self,
        failure: impl Fn() -> E + Send,
        answer: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let nth = 1 + self.calls.fetch_add(1, Ordering::SeqCst);
        let fault = match self.plan {
            Some((at, fault)) if nth == at || (nth > at && fault == Fault::Down) => fault,
            _ => return answer.await,
        };
        match fault {
            Fault::HangsBefore => self.hang().await,
            Fault::HangsAfter => {
                drop(answer.await);
                self.hang().await
            }
            Fault::FailsBefore | Fault::Down => Err(failure()),
            Fault::FailsAfter => {
                drop(answer.await);
                Err(failure())
            }
            Fault::Pauses => {
                self.reached.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
                answer.await
            }
        }
    }

    async fn hang<T>(&self) -> T {
        self.reached.add_permits(1);
        std::future::pending().await
    }
}

impl Watch for Arc<Script> {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        if let Call::Read(range) = call {
            self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(*range);
        }
        self.spoil(StoreError::timed_out, answer).await
    }
}

/// Passes everything on to another blob store, as far as the script lets it.
struct ScriptedObjects {
    inner: Arc<dyn ObjectStore>,
    script: Arc<Script>,
}

impl ScriptedObjects {
    async fn spoil<T>(
        script: &Script,
        answer: impl Future<Output = object_store::Result<T>> + Send,
    ) -> object_store::Result<T> {
        let failure = || {
            let source = Box::new(io::Error::from(io::ErrorKind::ConnectionReset));
            object_store::Error::Generic { store: "scripted", source }
        };
        let answer = async {
            if script.are_blobs_away.load(Ordering::SeqCst) { Err(failure()) } else { answer.await }
        };
        script.spoil(failure, answer).await
    }
}

#[async_trait]
impl ObjectStore for ScriptedObjects {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.script.puts.fetch_add(1, Ordering::SeqCst);
        Self::spoil(&self.script, self.inner.put_opts(location, payload, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        Self::spoil(&self.script, self.inner.get_opts(location, options)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let (inner, script) = (self.inner.clone(), self.script.clone());
        let delete = move |location: object_store::Result<Path>| {
            let (inner, script) = (inner.clone(), script.clone());
            async move {
                let location = location?;
                Self::spoil(&script, inner.delete(&location)).await.map(|()| location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for ScriptedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted")
    }
}

impl fmt::Debug for ScriptedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted")
    }
}

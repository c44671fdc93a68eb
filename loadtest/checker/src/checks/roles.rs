//! Access: nobody reads or writes without a role, and a revoked one is served no longer than the grace.

use crate::{
    case::Case,
    clock::Place,
    finding::Outcome,
    format::{FrameType, Role},
    history::{Call, Message, Outcome as Ended, Request},
};

/// Whoever was served can have had the role for it, somewhen between the grace before the request and the answer.
pub(super) fn required(case: &Case<'_>, outcome: &mut Outcome) {
    if !case.roles.are_known {
        return;
    }
    for call in &case.history.calls {
        let (Some(role), Some(ended)) = (needed(call), call.ended) else { continue };
        if matches!(call.outcome, Ended::Refused | Ended::Unknown) {
            continue;
        }
        outcome.examine();
        if !may(case, call.user, role, (call.sent, ended)) {
            outcome.find(&[call.sent, ended], || {
                let (user, name) = (case.user(call.user), call.request.name());
                format!("{user} was served `{name:?}` without being {role:?}")
            });
        }
    }
    for (user, message) in deliveries(case) {
        if !case.roles.had_any(case.clocks, user, message.at) {
            outcome.examine();
            outcome
                .find(&[message.at], || format!("{} is told of a drawing without a role", case.user(user)));
        }
    }
}

/// A reader who had a role gets nothing any more once it has been gone for longer than the grace.
pub(super) fn revoked(case: &Case<'_>, outcome: &mut Outcome) {
    if !case.roles.are_known {
        return;
    }
    for (user, message) in deliveries(case).filter(|(user, _)| case.roles.loses_role(*user)) {
        if !case.roles.had_any(case.clocks, user, message.at) {
            continue;
        }
        outcome.examine();
        if !may(case, user, Role::Viewer, (message.at, message.at)) {
            let last = case.roles.last_change(user).unwrap_or(crate::truth::NOWHERE);
            outcome.find(&[last, message.at], || {
                let grace = case.options.revocation_grace / 1_000_000;
                format!("{} got this more than {grace} ms after the role was gone", case.user(user))
            });
        }
    }
}

fn may(case: &Case<'_>, user: u32, role: Role, interval: (Place, Place)) -> bool {
    case.roles.may(case.clocks, user, role, interval, case.options.revocation_grace)
}

fn needed(call: &Call) -> Option<Role> {
    match call.request {
        Request::Create => None,
        // Anybody may join by a link, and leave.
        Request::Role { user, .. } => (user != call.user).then_some(Role::Owner),
        Request::Append(_) | Request::Toggle { .. } => Some(Role::Editor),
        Request::Page(_) | Request::Snapshot(_) => Some(Role::Viewer),
    }
}

/// All messages that only readers with a role may get.
fn deliveries<'a>(case: &Case<'a>) -> impl Iterator<Item = (u32, &'a Message)> {
    let told = |kind| matches!(kind, FrameType::Subscribed | FrameType::Ops | FrameType::Head);
    case.history.readers.iter().flat_map(move |reader| {
        reader.frames.iter().filter(move |frame| told(frame.kind)).map(|frame| (reader.user, frame))
    })
}

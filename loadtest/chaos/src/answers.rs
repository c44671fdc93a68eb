//! Judges answers beyond what the checker knows: those to a user who has lost their role, and those to a client that
//! asks again.

use crate::{
    account::{Account, Ending, LEAVER, Log},
    check::Check,
};

/// The time for which a role that was taken away may still be served, in nanoseconds: the second of G10, and what a
/// busy machine may add.
pub(crate) const REVOCATION: i64 = 1_300_000_000;

/// Whoever has lost their role commits nothing any more, and was refused nothing before.
pub(crate) fn role_lost(account: &Account) -> Check {
    let mut check =
        Check::new("role_lost", "what is sent after a role was lost is not taken, nor in the log");
    let Some(revoked) = account.revoked.get(LEAVER) else { return check };
    for attempt in &account.attempts {
        if let Ending::Refused(status @ (403 | 404), by) = attempt.end
            && by < revoked.from
        {
            check
                .find(format!("the op {} was refused with {status} before the role was lost", attempt.op_id));
        }
        let Some(late) = revoked.by.map(|by| attempt.sent - by).filter(|late| *late > REVOCATION) else {
            continue;
        };
        check.examine();
        let is_there = place(account, &attempt.drawing, &attempt.op_id).is_some();
        let what = match attempt.end {
            Ending::Taken => "was acknowledged",
            _ if is_there => "is in the log",
            _ => continue,
        };
        check.find(format!(
            "the op {}, sent {} ms after the role was lost, {what}",
            attempt.op_id,
            late / 1_000_000
        ));
    }
    check
}

/// An op that had no answer, and is sent again when all is well, is answered as the log has it.
pub(crate) fn asked_again(account: &Account, calm_from: Option<i64>) -> Check {
    let rule = "what had no answer is answered in calm as the log has it";
    let mut check = Check::new("asked_again", rule);
    let is_calm = |by: i64| calm_from.is_some_and(|from| by >= from);
    for answer in account.acknowledged.iter().filter(|answer| answer.was_unknown && is_calm(answer.by)) {
        check.examine();
        let (op_id, told) = (&answer.op_id, answer.at.revision);
        let log = account.logs.get(&answer.at.drawing);
        let there = place(account, &answer.at.drawing, op_id);
        if there != Some(told) || !log.is_some_and(|log| log.has(&answer.at.epoch, told)) {
            let there = there.map_or_else(|| "nowhere".to_owned(), |revision| format!("at {revision}"));
            check
                .find(format!("the op {op_id} was told to have revision {told}, and the log has it {there}"));
        }
    }
    check
}

fn place(account: &Account, drawing: &str, op_id: &str) -> Option<u64> {
    let places = |log: &Log| log.places.get(op_id).copied();
    account.logs.get(drawing).and_then(places)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::account::REVOKER;

    const SECOND: i64 = 1_000_000_000;

    /// Requests of two clients, and a log with the op `there` as revision 3.
    fn account(lines: &[Value]) -> Account {
        let mut account = Account::default();
        lines.iter().for_each(|line| account.take(line));
        account.take(&json!({"event": "log", "drawing": "d", "epoch": "e", "head": 3}));
        account
            .take(&json!({"event": "entry", "drawing": "d", "epoch": "e", "revision": 3, "op_id": "there"}));
        account
    }

    fn sent(client: &str, t: i64, id: u64, op_id: &str) -> Value {
        json!({"event": "invoke", "client": client, "t": t, "drawing": "d", "id": id, "call": "append",
            "ops": [{"op_id": op_id}]})
    }

    fn taken(client: &str, t: i64, id: u64, op_id: &str, revision: u64) -> Value {
        json!({"event": "ok", "client": client, "t": t, "drawing": "d", "id": id, "epoch": "e",
            "results": [{"op_id": op_id, "revision": revision, "duplicate": true}]})
    }

    #[test]
    fn what_is_sent_after_the_grace_may_not_be_taken() {
        let lost = |t: i64, op_id: &str, end: &str| {
            let role = json!({"event": "invoke", "client": REVOKER, "t": SECOND, "drawing": "d", "id": 1,
                "call": "role", "user": LEAVER});
            let done = json!({"event": "ok", "client": REVOKER, "t": 2 * SECOND, "drawing": "d", "id": 1});
            let end = match end {
                "ok" => taken(LEAVER, t + 1, 1, op_id, 3),
                "fail" => {
                    json!({"event": "fail", "client": LEAVER, "t": t + 1, "drawing": "d", "id": 1, "status": 404})
                }
                _ => json!({"event": "info", "client": LEAVER, "t": t + 1, "drawing": "d", "id": 1}),
            };
            let check = role_lost(&account(&[role, done, sent(LEAVER, t, 1, op_id), end]));
            (check.examined, check.findings().len())
        };
        assert_eq!(lost(3 * SECOND, "there", "ok"), (0, 0), "within the grace");
        assert_eq!(lost(4 * SECOND, "there", "ok"), (1, 1));
        assert_eq!(lost(4 * SECOND, "there", "info"), (1, 1));
        assert_eq!(lost(4 * SECOND, "gone", "info"), (1, 0));
        assert_eq!(lost(4 * SECOND, "gone", "fail"), (1, 0));
        assert_eq!(lost(0, "gone", "fail"), (0, 1), "before the role was taken away");
    }

    #[test]
    fn an_answer_to_whom_asks_again_agrees_with_the_log() {
        let again = |op_id: &str, revision: u64| {
            let lines = [
                sent("a", 1, 1, op_id),
                json!({"event": "info", "client": "a", "t": 2, "drawing": "d", "id": 1}),
                sent("a", 10, 2, op_id),
                taken("a", 11, 2, op_id, revision),
            ];
            let check = asked_again(&account(&lines), Some(5));
            (check.examined, check.findings().len())
        };
        assert_eq!(again("there", 3), (1, 0));
        assert_eq!(again("there", 2), (1, 1));
        assert_eq!(again("gone", 3), (1, 1));
    }
}

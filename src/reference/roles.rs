//! The rights of each role, as the rules of [`Role`] say when they are asked.

use super::table;
use crate::model::{Op, Role};

const INTRO: &str = "\
Every user of a drawing has one role on it. A user without a role sees no such drawing: `404 not_found`.
";

/// Something that a user may do or not.
struct Act {
    name: &'static str,
    is_allowed: fn(Role) -> bool,
}

const ACTS: &[Act] = &[
    Act { name: "Read the drawing, follow it, be present, leave it", is_allowed: |_| true },
    Act {
        name: "Draw: `object.*`, `stroke.*`, `custom.*`",
        is_allowed: |role| {
            permits(role, r#""type":"object.update","object_id":"a","set":{}"#)
                && permits(role, r#""type":"stroke.end","object_id":"a","count":0"#)
                && permits(role, r#""type":"custom.roll","data":6"#)
        },
    },
    Act {
        name: "Undo and redo one's own units",
        is_allowed: |role| {
            permits(role, r#""type":"undo","unit":"01980000-0000-7000-8000-000000000002""#)
                && permits(role, r#""type":"redo","unit":"01980000-0000-7000-8000-000000000002""#)
        },
    },
    Act { name: "Undo and redo the units of others", is_allowed: Role::may_undo_others },
    Act {
        name: "Set and clear the canvas: `canvas.set`, `canvas.clear`",
        is_allowed: |role| {
            permits(role, r#""type":"canvas.set","set":{}"#) && permits(role, r#""type":"canvas.clear""#)
        },
    },
    Act { name: "Create, change and delete objects of kind `fog`", is_allowed: Role::may_touch_fog },
    Act { name: "Manage members and links, rename and delete the drawing", is_allowed: Role::may_manage },
];

/// The section of the reference.
pub(super) fn section() -> String {
    let roles = [Role::Viewer, Role::Editor, Role::Owner];
    let rows = ACTS.iter().map(|act| {
        let allowed = roles.map(|role| if (act.is_allowed)(role) { "yes" } else { "" }.to_owned());
        [vec![act.name.to_owned()], allowed.to_vec()].concat()
    });
    format!("## Roles\n\n{INTRO}\n{}", table(&["May", "viewer", "editor", "owner"], rows))
}

/// Asks whether the role may commit an op with these fields.
fn permits(role: Role, fields: &str) -> bool {
    let json = format!(r#"{{"op_id":"01980000-0000-7000-8000-000000000001",{fields}}}"#);
    Op::parse(&json).is_ok_and(|op| role.permits(&op).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_may_do_everything_and_a_viewer_reads() {
        for act in ACTS {
            assert!((act.is_allowed)(Role::Owner), "{}", act.name);
        }
        let allowed: Vec<_> = ACTS.iter().filter(|act| (act.is_allowed)(Role::Viewer)).collect();
        assert_eq!(allowed.len(), 1);
    }
}

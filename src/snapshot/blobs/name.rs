//! The names of blobs, `<drawing_id>/<snapshot_id>.snap`, and back.

use object_store::path::Path;
use uuid::Uuid;

use crate::model::DrawingId;

/// The extension of a blob's name.
const EXTENSION: &str = ".snap";

pub(super) fn name(drawing: DrawingId, snapshot: Uuid) -> Path {
    Path::from(format!("{drawing}/{snapshot}{EXTENSION}"))
}

pub(super) fn parse_name(name: &Path) -> Option<(DrawingId, Uuid)> {
    let (drawing, file) = name.as_ref().split_once('/')?;
    let snapshot = file.strip_suffix(EXTENSION)?;
    Some((drawing.parse().ok()?, Uuid::try_parse(snapshot).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_ids() {
        let ids = (DrawingId(Uuid::now_v7()), Uuid::now_v7());
        assert_eq!(parse_name(&name(ids.0, ids.1)), Some(ids));
        for other in ["writable", "a/b.snap", &format!("{}/{}.snap", ids.0, "x"), &format!("{}/x", ids.0)] {
            assert_eq!(parse_name(&Path::from(other)), None, "{other}");
        }
    }
}

//! Each fault is found, by the check that it should be found by, and by no other.

use std::collections::BTreeSet;

use crate::{
    doctor::{Doctor, access, commits, live, logs, reads, undo},
    support::judged,
};

/// The faults, and the checks that find them. Where it is more than one, the fault breaks more than one promise; `perhaps`
/// names those that find it only if somebody has seen what it is about.
macro_rules! faults {
    ($($module:ident::$fault:ident => $($check:literal)+ $(, perhaps $($other:literal)+)?;)*) => {
        const FAULTS: &[(&str, fn(&mut Doctor), &[&str], &[&str])] = &[
            $((stringify!($fault), $module::$fault, &[$($check),+], &[$($($other),+)?]),)*
        ];
    };
}

faults! {
    logs::hole => "log_contiguous";
    logs::revision_reused => "log_contiguous";
    logs::head_ahead_of_the_log => "log_contiguous";
    logs::timed_out_op_committed_twice => "log_unique";
    logs::acked_op_committed_twice => "log_unique";
    logs::op_that_nobody_sent => "log_sourced";
    logs::op_of_another_actor => "log_sourced";
    logs::epochs_differ_below_the_base => "lineage_equal";
    logs::epoch_continued_above_its_base => "lineage_equal" "ack_kept",
        perhaps "live_equals_log" "page_equals_log" "picture_equal" "read_your_writes";
    logs::base_told_differently => "lineage_agrees";
    logs::epoch_that_nobody_knows => "epoch_known";
    logs::body_changed_in_the_log => "conflict_refused" "log_sourced";
    commits::acked_op_missing => "ack_kept";
    commits::acked_at_another_revision => "ack_kept";
    commits::answer_about_another_op => "ack_kept";
    commits::acked_op_lost_in_spite_of_a_synchronous_standby => "ack_kept";
    commits::void_ack_counted => "ack_kept";
    commits::two_acks_exchanged => "ack_kept";
    commits::retry_has_another_revision => "ack_kept" "first_revision";
    commits::retry_is_told_to_have_committed => "first_revision";
    commits::conflict_accepted => "conflict_refused";
    commits::refused_op_in_the_log => "refusal_kept";
    commits::half_of_a_request_committed => "request_whole";
    commits::halves_of_two_requests_committed => "request_whole";
    commits::real_time_reordered_within_a_client => "real_time_order";
    commits::real_time_reordered_between_clients => "real_time_order";
    commits::real_time_reordered_by_an_op_that_timed_out => "real_time_order";
    reads::page_with_a_hole => "page_whole";
    reads::page_that_begins_too_late => "page_whole";
    reads::page_that_claims_to_be_complete => "page_whole";
    reads::page_of_two_epochs => "page_equals_log";
    reads::page_with_another_body => "page_equals_log";
    reads::page_without_ones_own_write => "read_your_writes";
    reads::page_without_the_write_of_another_client => "read_your_writes";
    reads::page_of_the_epoch_before => "read_your_writes";
    reads::snapshot_that_is_stale => "read_your_writes";
    reads::position_above_the_base_served => "position_refused";
    reads::position_ahead_of_the_head_served => "position_refused";
    reads::snapshot_of_another_revision => "position_refused";
    reads::reducers_differ => "picture_equal";
    reads::pictures_of_two_epochs_differ => "picture_equal";
    reads::picture_ahead_of_the_log => "picture_equal";
    live::frame_skipped => "live_order";
    live::frame_repeated => "live_order";
    live::frames_reordered => "live_order";
    live::op_left_out_of_a_frame => "live_order";
    live::reset_not_announced => "live_order";
    live::ops_after_a_reset => "live_order";
    live::ops_after_the_end => "live_order";
    live::followed_from_elsewhere => "live_order";
    live::head_beyond_what_was_told => "live_order";
    live::op_changed_on_the_way => "live_equals_log";
    live::op_of_the_lost_branch => "live_equals_log";
    live::new_epoch_above_the_base_without_a_reset => "live_epoch";
    live::new_epoch_without_its_lineage => "live_epoch" "lineage_agrees";
    live::lost_position_followed => "position_refused";
    access::delivered_after_a_revocation => "role_revoked";
    access::subscribed_after_a_revocation => "role_revoked";
    access::read_after_a_revocation => "role_required";
    access::read_without_a_role => "role_required";
    access::told_without_a_role => "role_required";
    access::written_by_a_viewer => "role_required";
    access::role_given_by_an_editor => "role_required";
    undo::another_unit_undone => "undo_exact";
    undo::redo_where_undo_was_pressed => "undo_exact";
    undo::unit_that_nobody_began => "undo_exact";
    undo::closed_unit_undone => "undo_exact";
    undo::undone_twice => "undo_once";
    undo::half_of_a_unit_undone => "undo_whole";
}

#[test]
fn each_fault_is_found_by_its_checks_and_by_no_other() {
    let mut failures = Vec::new();
    for seed in [5, 6] {
        let whole = Doctor::new(seed);
        for (name, fault, wanted, perhaps) in FAULTS {
            let mut doctor = whole.clone();
            fault(&mut doctor);
            let verdict = judged(&doctor.lines);
            let found: BTreeSet<_> = verdict.findings.iter().map(|finding| finding.check).collect();
            let is_found = wanted.iter().all(|check| found.contains(check));
            if !is_found || found.iter().any(|check| !wanted.contains(check) && !perhaps.contains(check)) {
                failures
                    .push(format!("{name}, seed {seed}: {found:?} and not {wanted:?}\n{}", verdict.table()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_finding_says_what_where_and_why() {
    let mut doctor = Doctor::new(5);
    let lines = doctor.lines.len();
    commits::acked_op_missing(&mut doctor);
    let verdict = judged(&doctor.lines);
    let [finding] = verdict.findings.as_slice() else { panic!("{}", verdict.table()) };
    assert_eq!((finding.check, &finding.drawing), ("ack_kept", &doctor.drawing));
    assert!(finding.text.contains("was acknowledged as revision"), "{}", finding.text);
    let [place] = finding.places.as_slice() else { panic!("{:?}", finding.places) };
    assert_eq!(place.line as usize, lines + 2);
    let table = verdict.table();
    assert!(table.contains("client rust-2, event "), "{table}");
}

#[test]
fn every_check_has_a_fault_that_it_finds() {
    let found: BTreeSet<_> = FAULTS.iter().flat_map(|(_, _, checks, _)| checks.iter().copied()).collect();
    let all: BTreeSet<_> = revcast_checker::checks().map(|(name, _)| name).collect();
    assert_eq!(found, all);
}

#[test]
fn what_the_grace_allows_is_no_fault() {
    let mut doctor = Doctor::new(5);
    access::delivered_within_the_grace(&mut doctor);
    let verdict = judged(&doctor.lines);
    assert!(verdict.is_clean(), "{}", verdict.table());
}

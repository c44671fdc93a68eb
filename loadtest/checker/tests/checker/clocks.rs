//! Times of two clients are compared only as far as both clocks are known.

use crate::{
    doctor::{Doctor, commits},
    support::judged,
};
use revcast_checker::format::Line;

/// Makes the clocks of all clients as uncertain as that, or unknown.
fn blur(doctor: &mut Doctor, error: Option<i64>) {
    for line in &mut doctor.lines {
        if let Line::Client(client) = line {
            client.offset = client.offset.filter(|_| error.is_some());
            client.error = client.error.and(error);
        }
    }
}

#[test]
fn an_order_that_is_not_certain_is_not_held_against_anybody() {
    for error in [Some(3_600_000_000_000), None] {
        let mut doctor = Doctor::new(5);
        commits::real_time_reordered_between_clients(&mut doctor);
        blur(&mut doctor, error);
        let verdict = judged(&doctor.lines);
        assert!(verdict.is_clean(), "{}", verdict.table());
    }
}

#[test]
fn a_clients_own_clock_needs_no_bound() {
    let mut doctor = Doctor::new(5);
    commits::real_time_reordered_within_a_client(&mut doctor);
    blur(&mut doctor, None);
    let verdict = judged(&doctor.lines);
    assert!(verdict.findings.iter().any(|finding| finding.check == "real_time_order"), "{}", verdict.table());
}

//! Plans, many of them.

use super::{
    draw::{FAULTS, KEYS_REST, reads_keys},
    *,
};

const ALL: Means = Means { has_previous: true, has_faketime: true, has_node: true };

#[test]
fn the_same_seed_and_round_are_the_same_plan_and_others_another_one() {
    let plan = Plan::new(7, 3, ALL);
    assert_eq!(plan, Plan::new(7, 3, ALL));
    assert_ne!(plan.faults, Plan::new(7, 2, ALL).faults);
    assert_ne!(plan.faults, Plan::new(8, 3, ALL).faults);
}

#[test]
fn faults_that_overlap_act_upon_different_things_and_a_failover_comes_last() {
    for round in 1..500 {
        let plan = Plan::new(1, round, ALL);
        assert!((3..=FAULTS + 2).contains(&plan.faults.len()), "{plan}");
        for (nth, late) in plan.faults.iter().enumerate() {
            assert!(late.number == nth && late.at >= Duration::from_secs(1), "{plan}");
            for early in &plan.faults[..nth] {
                let is_over = early.at + early.lasts <= late.at;
                assert!(is_over || early.fault.target() != late.fault.target(), "{plan}");
            }
            if matches!(late.fault, Fault::FailOver(_)) {
                assert_eq!(nth + 1, plan.faults.len(), "{plan}");
            }
        }
        assert!(plan.load() < Duration::from_secs(20), "{plan}");
    }
}

#[test]
fn what_an_embedded_server_has_not_does_not_fail_in_it() {
    for round in (EMBEDDED_EVERY..200).step_by(4) {
        let plan = Plan::new(2, round, ALL);
        assert_eq!((plan.kind, plan.nodes(), plan.previous), (Kind::Embedded, 1, None));
        let unfit = plan.faults.iter().find(|planned| !Plan::allows(round, planned.fault));
        assert_eq!(unfit, None, "{plan}");
    }
}

#[test]
fn the_keys_of_a_round_change_once_and_are_replaced_when_nodes_may_read_them() {
    let (mut rotated, mut replaced) = (0, 0);
    for round in 1..500 {
        let plan = Plan::new(4, round, ALL);
        let keys: Vec<_> =
            plan.faults.iter().filter(|planned| planned.fault.target() == Target::Issuer).collect();
        assert!(keys.len() < 2, "{plan}");
        let Some(keys) = keys.first() else { continue };
        if keys.fault == Fault::RotateKeys {
            rotated += 1;
            continue;
        }
        replaced += 1;
        let restarts = plan.faults.iter().filter(|planned| reads_keys(planned.fault));
        let last = restarts.map(|planned| planned.at + planned.lasts).max().unwrap_or_default();
        assert!(last + KEYS_REST <= keys.at, "{plan}");
    }
    assert!(rotated > 50 && replaced > 50, "{rotated} and {replaced}");
}

#[test]
fn what_is_certain_happens() {
    let certain = [Fault::Kill(1), Fault::FullDisk, Fault::FailOver(Standby::Asynchronous)];
    for round in [1, 2, 3, 5, 6, 7] {
        let plan = Plan::with(1, round, ALL, &certain);
        assert!(certain.iter().all(|fault| plan.has(|other| other == *fault)), "{plan}");
        let plan = Plan::with(1, round, ALL, &[Fault::ReplaceKeys]);
        assert!(plan.has(|fault| fault == Fault::ReplaceKeys), "{plan}");
    }
}

#[test]
fn without_the_means_a_fault_is_left_out() {
    for round in 1..100 {
        let plan = Plan::new(3, round, Means::default());
        let is_clock = |planned: &Planned| matches!(planned.fault, Fault::Clock(..));
        assert!(!plan.faults.iter().any(is_clock) && plan.previous.is_none() && plan.scripts == 0);
        let others = Plan::new(3, round, ALL).faults.into_iter().filter(|planned| !is_clock(planned));
        assert!(others.eq(plan.faults), "the others stay as they are");
    }
}

#[test]
fn a_fault_that_is_left_out_leaves_the_others_as_they_were() {
    let plan = Plan::new(1, 1, ALL);
    let fewer = plan.only(&[0, 2]);
    assert_eq!(fewer.numbers(), [0, 2]);
    assert_eq!(fewer.faults[1], plan.faults[2]);
}

//! The simulation itself: that a seed decides everything, and that some hundreds of them contradict no promise.

use std::process::{Command, Output};

/// Seeds of which the whole history is compared.
const COMPARED: [u64; 6] = [1, 2, 3, 7, 42, 1_000_003];
/// Seeds that every change is tried on; without optimisation each takes a fraction of a second.
const SEEDS: u64 = 250;

fn simulation(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_revcast-simulation"));
    command.args(arguments);
    command
}

fn text_of(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    both.join("\n")
}

#[test]
fn a_seed_decides_every_byte_of_the_history() {
    for seed in COMPARED {
        let seed = seed.to_string();
        // The surroundings of a process make no difference.
        let mut other = simulation(&["--seed", &seed, "--print"]);
        other.env("REVCAST_SIMULATION_TEST", "x".repeat(10_000));
        let one = simulation(&["--seed", &seed, "--print"]).output().unwrap();
        let other = other.output().unwrap();
        assert!(one.stdout.len() > 10_000, "seed {seed}: {}", text_of(&one));
        assert!(one.stdout == other.stdout, "seed {seed} has two histories");
    }
}

#[test]
fn other_seeds_have_other_histories() {
    let history = |seed| simulation(&["--seed", seed, "--print"]).output().unwrap().stdout;
    assert!(history("11") != history("12"));
}

#[test]
fn no_seed_contradicts_a_promise() {
    let output = simulation(&["--seeds", &SEEDS.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
}

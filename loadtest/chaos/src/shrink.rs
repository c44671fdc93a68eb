//! From a round that fails to fewer faults with which it still fails.

use std::future::Future;

/// Leaves out faults, one by one, for as long as the rest fails; runs no more rounds than `runs`. Returns the numbers
/// of those that are left.
///
/// A round that fails only now and then may seem to be well: then more faults are left than are needed.
///
/// # Errors
/// Those of `fails`.
pub async fn shrink<F: Future<Output = anyhow::Result<bool>>>(
    numbers: Vec<usize>,
    runs: usize,
    mut fails: impl FnMut(Vec<usize>) -> F,
) -> anyhow::Result<Vec<usize>> {
    let (mut left, mut runs, mut next) = (numbers, runs, 0);
    while next < left.len() && runs > 0 {
        let mut fewer = left.clone();
        fewer.remove(next);
        runs -= 1;
        if fails(fewer.clone()).await? {
            left = fewer;
        } else {
            next += 1;
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shrunk(runs: usize, needed: &[usize]) -> (Vec<usize>, usize) {
        let mut tried = 0;
        let left = shrink((0..6).collect(), runs, |numbers| {
            tried += 1;
            let fails = needed.iter().all(|number| numbers.contains(number));
            async move { Ok(fails) }
        });
        (left.await.unwrap(), tried)
    }

    #[tokio::test]
    async fn what_is_not_needed_for_a_failure_is_left_out() {
        assert_eq!(shrunk(20, &[1, 4]).await, (vec![1, 4], 6));
        assert_eq!(shrunk(20, &[]).await, (vec![], 6));
    }

    #[tokio::test]
    async fn no_more_rounds_are_run_than_wanted() {
        assert_eq!(shrunk(3, &[5]).await, (vec![3, 4, 5], 3));
    }
}

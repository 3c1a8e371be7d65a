//! Delta debugging: the smallest part of a list for which a test still holds (Zeller and Hildebrandt, "Simplifying and
//! isolating failure-inducing input", 2002).
//!
//! Intuition: strike half of the list; if the failure goes, put it back and strike quarters. What is left at the end
//! is *1-minimal*: without any one of its items the failure goes.

/// Shrinks `items`, for which the test holds. The test may end it early by an error.
pub fn ddmin<T: Clone, E>(items: &[T], mut test: impl FnMut(&[T]) -> Result<bool, E>) -> Result<Vec<T>, E> {
    if items.is_empty() || test(&[])? {
        return Ok(Vec::new());
    }
    let mut left = items.to_vec();
    let mut parts = 2;
    while left.len() > 1 {
        let parts_now = parts.min(left.len());
        let mut smaller = None;
        for part in 0..parts_now {
            let (from, to) = (left.len() * part / parts_now, left.len() * (part + 1) / parts_now);
            if parts_now == 2 || parts_now == left.len() {
                // With two halves, and with single items, what is struck and what is kept are the same trials.
            } else if test(&left[from..to])? {
                smaller = Some((left[from..to].to_vec(), 2));
                break;
            }
            let rest: Vec<T> = left[..from].iter().chain(&left[to..]).cloned().collect();
            if test(&rest)? {
                smaller = Some((rest, (parts_now - 1).max(2)));
                break;
            }
        }
        match smaller {
            Some((next, then)) => (left, parts) = (next, then),
            None if parts_now == left.len() => break,
            None => parts = parts_now * 2,
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn shrunk(n: u32, needed: &[u32]) -> (Vec<u32>, u32) {
        let items: Vec<u32> = (0..n).collect();
        let mut tests = 0;
        let left = ddmin(&items, |part| {
            tests += 1;
            Ok::<_, Infallible>(needed.iter().all(|n| part.contains(n)))
        });
        (left.expect("nothing fails here"), tests)
    }

    #[test]
    fn what_is_needed_is_left_and_nothing_else() {
        for needed in [&[][..], &[0], &[99], &[3, 4], &[0, 50, 99], &[1, 2, 3, 40, 41, 98]] {
            assert_eq!(shrunk(100, needed).0, needed);
        }
    }

    #[test]
    fn few_tests_are_enough_for_little() {
        let (left, tests) = shrunk(1024, &[700, 701]);
        assert_eq!(left, [700, 701]);
        assert!(tests < 80, "{tests} tests for two neighbours among 1,024");
    }

    #[test]
    fn an_error_ends_it() {
        let found =
            ddmin(&[1, 2, 3], |part| if part.len() == 1 { Err("enough") } else { Ok(part.len() > 1) });
        assert_eq!(found, Err("enough"));
    }
}

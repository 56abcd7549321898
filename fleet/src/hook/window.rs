//! Which changes of a number are worth telling.

use std::collections::VecDeque;

/// How long a number has to have changed before it is told.
///
/// More is told when even the smallest number of the last `rise_ms` is more than what was told last; less, when even the
/// largest number of the last `fall_ms` is less. A number that swings within its window is never told, and what is told is
/// the smallest change that the window bears out. (As the stabilisation windows of Kubernetes' HorizontalPodAutoscaler.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// For more provers, in milliseconds: short, since jobs wait.
    pub rise_ms: i64,
    /// For fewer provers, in milliseconds: long, since provers take time to come back.
    pub fall_ms: i64,
}

impl Default for Windows {
    /// 30 s and 10 min.
    fn default() -> Self {
        Self {
            rise_ms: 30_000,
            fall_ms: 600_000,
        }
    }
}

/// A number over time.
#[derive(Clone, Debug)]
pub(super) struct Window {
    windows: Windows,
    told: Option<u32>,
    /// When it was seen, and what it was until the next entry.
    seen: VecDeque<(i64, u32)>,
}

impl Window {
    pub(super) const fn new(windows: Windows) -> Self {
        Self {
            windows,
            told: None,
            seen: VecDeque::new(),
        }
    }

    /// What was told last.
    pub(super) const fn told(&self) -> Option<u32> {
        self.told
    }

    /// The number is `number` now; returns what is to be told, if anything. The first number is told at once.
    pub(super) fn see(&mut self, now: i64, number: u32) -> Option<u32> {
        if self.seen.back().is_none_or(|&(_, last)| last != number) {
            self.seen.push_back((now, number));
        }
        let longest = self.windows.rise_ms.max(self.windows.fall_ms);
        // The newest entry that began before the window still holds at its beginning.
        while self
            .seen
            .get(1)
            .is_some_and(|&(began, _)| began <= now.saturating_sub(longest))
        {
            self.seen.pop_front();
        }
        let told = match self.told {
            None => number,
            Some(told) => {
                let least = self.within(now, self.windows.rise_ms).min();
                let most = self.within(now, self.windows.fall_ms).max();
                match (least, most) {
                    (Some(least), _) if least > told => least,
                    (_, Some(most)) if most < told => most,
                    _ => told,
                }
            }
        };
        (self.told != Some(told)).then(|| {
            self.told = Some(told);
            told
        })
    }

    /// What the number has been for so long.
    fn within(&self, now: i64, window: i64) -> impl Iterator<Item = u32> {
        let from = now.saturating_sub(window.max(0));
        let ends = self.seen.iter().skip(1).map(|&(began, _)| began);
        let ends = ends.chain([i64::MAX]);
        let spans = self.seen.iter().zip(ends);
        spans
            .filter(move |&(_, ended)| ended > from)
            .map(|(&(_, number), _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(windows: Windows, numbers: &[(i64, u32)]) -> Vec<(i64, u32)> {
        let mut window = Window::new(windows);
        let see = |&(now, number)| window.see(now, number).map(|told| (now, told));
        numbers.iter().filter_map(see).collect()
    }

    const WINDOWS: Windows = Windows {
        rise_ms: 10,
        fall_ms: 100,
    };

    #[test]
    fn a_change_is_told_once_and_when_it_has_lasted() {
        let steady = [(0, 2), (5, 4), (10, 4), (15, 4), (20, 4), (90, 4)];
        assert_eq!(told(WINDOWS, &steady), [(0, 2), (15, 4)]);
        let falls = [(0, 4), (1, 2), (100, 2), (101, 2), (102, 2)];
        assert_eq!(told(WINDOWS, &falls), [(0, 4), (101, 2)]);
    }

    #[test]
    fn what_swings_is_not_told() {
        let swings: Vec<(i64, u32)> = (0..200).map(|at| (at * 6, 4 + (at % 2) as u32)).collect();
        assert_eq!(told(WINDOWS, &swings), [(0, 4)]);
    }

    #[test]
    fn the_smallest_change_that_lasted_is_told() {
        let rises = [(0, 1), (1, 5), (4, 3), (7, 9), (11, 9), (14, 9), (17, 9)];
        // Since 1 it was 3 at least; since 7, 9.
        assert_eq!(told(WINDOWS, &rises), [(0, 1), (11, 3), (17, 9)]);
    }

    #[test]
    fn without_windows_every_change_is_told() {
        let none = Windows {
            rise_ms: 0,
            fall_ms: 0,
        };
        let numbers = [(0, 1), (1, 2), (1, 2), (2, 1)];
        assert_eq!(told(none, &numbers), [(0, 1), (1, 2), (2, 1)]);
    }
}

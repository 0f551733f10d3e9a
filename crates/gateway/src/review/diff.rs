//! A unified diff of two texts, as `patch` takes it.

use std::fmt::Write as _;

/// Lines around a change.
const CONTEXT: usize = 3;

/// Longest texts that are compared line by line; beyond, everything is replaced.
const LONGEST: usize = 4_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Same,
    Gone,
    New,
}

/// Empty when the texts are the same.
pub(super) fn unified(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let steps = steps(&old, &new);
    let mut out = format!("--- {name}\n+++ {name}\n");
    let mut begin = 0;
    while let Some((from, to)) = hunk(&steps, begin) {
        let part = steps.get(from..to).unwrap_or_default();
        let before = steps.get(..from).unwrap_or_default();
        let count = |steps: &[(Change, &str)], other: Change| {
            steps.iter().filter(|(change, _)| *change != other).count()
        };
        let range = |other: Change| {
            let (first, length) = (count(before, other), count(part, other));
            format!("{},{length}", if length == 0 { first } else { first.saturating_add(1) })
        };
        // A String takes whatever is written to it: there is no error to look at, here and below.
        let _ = writeln!(out, "@@ -{} +{} @@", range(Change::New), range(Change::Gone));
        for (change, line) in part {
            let sign = match change {
                Change::Same => ' ',
                Change::Gone => '-',
                Change::New => '+',
            };
            let _ = writeln!(out, "{sign}{line}");
        }
        begin = to;
    }
    out
}

/// The next part of `steps` with a change and what stands around it.
fn hunk(steps: &[(Change, &str)], begin: usize) -> Option<(usize, usize)> {
    let rest = steps.get(begin..)?;
    let first = begin.saturating_add(rest.iter().position(|(change, _)| *change != Change::Same)?);
    let mut last = first;
    for (index, (change, _)) in steps.iter().enumerate().skip(first) {
        if *change != Change::Same {
            last = index;
        } else if index.saturating_sub(last) > CONTEXT.saturating_mul(2) {
            break;
        }
    }
    let end = last.saturating_add(CONTEXT).saturating_add(1).min(steps.len());
    Some((first.saturating_sub(CONTEXT).max(begin), end))
}

/// From the old lines to the new ones, by their longest common subsequence.
fn steps<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(Change, &'t str)> {
    let gone = |lines: &[&'t str]| lines.iter().map(|line| (Change::Gone, *line)).collect::<Vec<_>>();
    let fresh = |lines: &[&'t str]| lines.iter().map(|line| (Change::New, *line)).collect::<Vec<_>>();
    if old.len() > LONGEST || new.len() > LONGEST {
        return [gone(old), fresh(new)].concat();
    }
    let width = new.len().saturating_add(1);
    let mut longest = vec![0_u16; old.len().saturating_add(1).saturating_mul(width)];
    let at = |row: usize, column: usize| row.saturating_mul(width).saturating_add(column);
    for (row, one) in old.iter().enumerate().rev() {
        for (column, other) in new.iter().enumerate().rev() {
            let below = longest.get(at(row.saturating_add(1), column)).copied().unwrap_or(0);
            let right = longest.get(at(row, column.saturating_add(1))).copied().unwrap_or(0);
            let diagonal = at(row.saturating_add(1), column.saturating_add(1));
            let both = longest.get(diagonal).copied().unwrap_or(0).saturating_add(1);
            if let Some(cell) = longest.get_mut(at(row, column)) {
                *cell = if one == other { both } else { below.max(right) };
            }
        }
    }
    let mut steps = Vec::new();
    let (mut row, mut column) = (0, 0);
    while let (Some(one), Some(other)) = (old.get(row), new.get(column)) {
        let below = longest.get(at(row.saturating_add(1), column));
        let right = longest.get(at(row, column.saturating_add(1)));
        if one == other {
            steps.push((Change::Same, *one));
            (row, column) = (row.saturating_add(1), column.saturating_add(1));
        } else if below >= right {
            steps.push((Change::Gone, *one));
            row = row.saturating_add(1);
        } else {
            steps.push((Change::New, *other));
            column = column.saturating_add(1);
        }
    }
    steps.extend(gone(old.get(row..).unwrap_or_default()));
    steps.extend(fresh(new.get(column..).unwrap_or_default()));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_as_patch_takes_it() {
        let old: String = (1..=20).map(|line| format!("{line}\n")).collect();
        let new = old.replace("\n2\n", "\n").replace("\n18\n", "\neighteen\n");
        let expected = "--- f\n+++ f\n@@ -1,5 +1,4 @@\n 1\n-2\n 3\n 4\n 5\n@@ -15,6 +14,6 @@\n 15\n 16\n 17\n-18\n+eighteen\n 19\n 20\n";
        assert_eq!(unified("f", &old, &new), expected);
        assert_eq!(unified("f", &old, &old), "");
        assert_eq!(unified("f", "", "a\n"), "--- f\n+++ f\n@@ -0,0 +1,1 @@\n+a\n");
    }
}

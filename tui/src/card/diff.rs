//! A unified diff, read by what its headings say and not by what its lines look like: a line that was taken away may itself begin with `--`.

/// How many lines a diff adds and removes: `+12 -3`.
pub fn count(diff: &str) -> String {
    let count = |sign: char, head: &str| diff.lines().filter(|line| line.starts_with(sign) && !line.starts_with(head)).count();
    format!("+{} -{}", count('+', "+++ "), count('-', "--- "))
}

/// One line of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row<'a> {
    /// Before the first change of a file: its names and the like.
    File(&'a str),
    /// A change begins.
    Hunk(&'a str),
    /// In both: the number before, the number after, the text.
    Same(usize, usize, &'a str),
    /// Taken away: its number before.
    Removed(usize, &'a str),
    /// Added: its number after.
    Added(usize, &'a str),
    /// Anything else, such as that there is no end of line at the end.
    Note(&'a str),
}

/// The lines of a unified diff.
pub(crate) fn rows(diff: &str) -> Vec<Row<'_>> {
    let (mut before, mut after) = (0, 0);
    let (mut old, mut new) = (0, 0);
    let mut rows = Vec::new();
    for line in diff.strip_suffix('\n').unwrap_or(diff).split('\n') {
        let inside = old > 0 || new > 0;
        let row = match line.as_bytes().first() {
            Some(b' ') | None if inside => {
                (old, new) = (usize::saturating_sub(old, 1), usize::saturating_sub(new, 1));
                (before, after) = (before + 1, after + 1);
                Row::Same(before - 1, after - 1, line.get(1..).unwrap_or_default())
            }
            Some(b'-') if old > 0 => {
                (old, before) = (old - 1, before + 1);
                Row::Removed(before - 1, line.get(1..).unwrap_or_default())
            }
            Some(b'+') if new > 0 => {
                (new, after) = (new - 1, after + 1);
                Row::Added(after - 1, line.get(1..).unwrap_or_default())
            }
            Some(b'@') if !inside => match numbers(line) {
                Some([old_at, old_count, new_at, new_count]) => {
                    (before, after, old, new) = (old_at, new_at, old_count, new_count);
                    Row::Hunk(line)
                }
                None => Row::Note(line),
            },
            _ if inside || line.starts_with('\\') => Row::Note(line),
            _ => Row::File(line),
        };
        rows.push(row);
    }
    rows
}

/// `@@ -40,2 +40,5 @@`: where the change is, and how long.
fn numbers(line: &str) -> Option<[usize; 4]> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let pair = |text: &str| match text.split_once(',') {
        Some((at, count)) => Some((at.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    let ((old_at, old_count), (new_at, new_count)) = (pair(old)?, pair(new)?);
    let most = usize::MAX / 2;
    (old_at < most && new_at < most && old_count < most && new_count < most).then_some([old_at, old_count, new_at, new_count])
}

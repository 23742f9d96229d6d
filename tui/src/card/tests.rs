//! Cards hide nothing, whatever they are made of.

use proptest::prelude::*;

use super::*;

#[test]
fn diffs_are_read_by_their_headings() {
    let diff = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ fn\n--- not a file\n+++ nor this\n same\n\\ No newline at end of file\n@@ -9 +9,0 @@\n-gone\n";
    assert_eq!(
        diff_rows(diff),
        [
            DiffRow::File("--- a/x"),
            DiffRow::File("+++ b/x"),
            DiffRow::Hunk("@@ -1,2 +1,2 @@ fn"),
            DiffRow::Removed(1, "-- not a file"),
            DiffRow::Added(1, "++ nor this"),
            DiffRow::Same(2, 2, "same"),
            DiffRow::Note("\\ No newline at end of file"),
            DiffRow::Hunk("@@ -9 +9,0 @@"),
            DiffRow::Removed(9, "gone"),
        ]
    );
    assert_eq!(diff_count("--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-old\n+new\t\u{202e}\n+more\n"), "+2 -1");
}

#[test]
fn servers_come_before_their_tools() {
    assert_eq!(mcp("mcp__git_hub__create__issue"), Some(("git_hub", "create__issue")));
    assert_eq!(mcp("mcp:docs/get"), Some(("docs", "get")));
    assert!(mcp("Bash").is_none() && mcp("mcp____x").is_none());
}

#[test]
fn what_cannot_be_seen_is_written_out_and_counted() {
    assert_eq!(visible("a\u{301}b\u{200d}\u{1d173}"), "a\u{301}b\\u{200d}\\u{1d173}");
    assert_eq!(visible(&format!("e{}", "\u{301}".repeat(8))).matches("\\u{301}").count(), 2);
    assert_eq!(hidden::count(["a\u{202e}\u{2066}\n\t", "\u{1b}\u{200b}"].into_iter()).unwrap(), "2 turning the direction of text, 1 control, 1 invisible");
    assert!(hidden::count(["plain\n\ttext 機"].into_iter()).is_none());
    let page = Page::new(Signs::Screen);
    let line: String = page.shown(Tone::Plain, "a\tb  ").iter().map(|span| span.text.as_str()).collect();
    assert_eq!(line, "a→   b··");
    let line: String = Page::new(Signs::Ascii).shown(Tone::Plain, "a\tb ").iter().map(|span| span.text.as_str()).collect();
    assert_eq!(line, "a\\u{9}b\\u{20}");
}

proptest! {
    /// However a line is broken, nothing of it is lost, and no line is too wide for the screen.
    #[test]
    fn breaking_loses_nothing(text in "[a-z 界é\t\u{1b}\u{202e}\u{200b}\u{301}]{0,120}", columns in 1usize..90) {
        let mut page = Page::new(Signs::Screen);
        page.body("  | ", Tone::Plain, &text);
        let entry = &page.entries[0];
        let lines = entry.wrapped(columns);
        let whole: String = entry.text.iter().map(|span| span.text.as_str()).collect();
        let mut joined = String::new();
        for line in &lines {
            let line: String = line.iter().map(|span| span.text.as_str()).collect();
            prop_assert!(width(&line) <= columns.max(NARROW + 4), "{line:?}");
            prop_assert!(!line.chars().any(loopsy_shared::text::is_active), "{line:?}");
            joined.extend(line.chars().skip(4));
        }
        prop_assert_eq!(joined, whole);
    }

    #[test]
    fn any_diff_is_read(diff in "([ +@\\\\-]{0,3}[a-z0-9,@ -]{0,12}\n){0,20}") {
        prop_assert_eq!(diff_rows(&diff).len(), diff.strip_suffix('\n').unwrap_or(&diff).split('\n').count());
    }
}

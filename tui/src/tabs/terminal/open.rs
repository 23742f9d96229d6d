//! Opening a terminal: at once, or with a command and a folder.

use loopsy_shared::{
    api::{
        peers::PeerStatus,
        terminals::{OpenTerminal, TerminalSize},
    },
    id::NodeId,
};

use super::{Item, Terminal};
use crate::{
    app::Cx,
    overlays::form::{Form, Row},
};

/// What is started; the shell in the home folder when empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Start {
    words: Vec<String>,
    folder: Option<String>,
}

/// Opens one.
pub(super) fn open(node: Option<&NodeId>, start: Start, size: TerminalSize, cx: &mut Cx<'_>) {
    let mut words = start.words.into_iter();
    let (command, args) = (words.next(), words.collect());
    if let Some(peer) = node.and_then(|node| cx.world.peers.get(node)).filter(|peer| peer.status != PeerStatus::Online) {
        cx.note(format!("Trying to reach {}.", peer.hostname));
    }
    cx.call(node, OpenTerminal { command, args, cwd: start.folder, cols: Some(size.cols), rows: Some(size.rows), ..OpenTerminal::default() });
}

/// Asks for all of it; the selected node comes first.
pub(super) fn ask(tab: &Terminal, cx: &mut Cx<'_>) {
    let selected = match tab.selected() {
        Some(Item::Open(key)) => key.node.clone(),
        Some(Item::New(node)) => node.clone(),
        None => None,
    };
    let nodes: Vec<Option<NodeId>> = tab
        .shells
        .items(cx.world)
        .into_iter()
        .filter_map(|item| match item {
            Item::New(node) => Some(node),
            Item::Open(_) => None,
        })
        .collect();
    let at = nodes.iter().position(|node| *node == selected).unwrap_or(0);
    // Two nodes may have one name.
    let labels = cx.world.labels_of(&nodes);
    let size = tab.size(cx);
    let rows = vec![
        Row::choice("Node", "Left and right choose.", labels.clone(), at),
        Row::line("Command", "Empty: the shell. Quotes keep words together."),
        Row::line("Folder", "Empty: the home folder there."),
    ];
    let form = Form::new(cx, "Open a terminal", rows, move |values, cx| {
        let [node, command, folder] = values else { return Ok(()) };
        let node = labels.iter().position(|label| label == node).and_then(|at| nodes.get(at).cloned()).flatten();
        let folder = folder.trim();
        let start = Start { words: words(command)?, folder: (!folder.is_empty()).then(|| folder.to_owned()) };
        open(node.as_ref(), start, size, cx);
        Ok(())
    });
    cx.open(form);
}

/// The words of a command line: blanks divide, quotes keep together, a backslash takes the next character as it is.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', open) if open != Some('\'') => word.get_or_insert_default().extend(chars.next()),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(format!("A {quote} is not closed in the command."));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(words(r#" cargo  test --  'a b' "c \" d" e\ f '' "#).unwrap(), ["cargo", "test", "--", "a b", "c \" d", "e f", ""]);
        assert_eq!(words(" ").unwrap(), [""; 0]);
        assert!(words("echo 'x").unwrap_err().contains('\''));
    }
}

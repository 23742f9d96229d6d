//! What Claude Code says, piece by piece.

use std::borrow::Cow;

use loopsy_shared::api::ai_tasks::TaskEventKind;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    super::driver::{Step, Steps},
    Claude,
};

/// Texts of the message that is being said.
#[derive(Default)]
pub(super) struct Texts {
    /// Number of the next block.
    next: u64,
    /// The message, as far as it is known which it is.
    message: Option<String>,
    /// Its blocks.
    blocks: Vec<Block>,
}

/// A text that comes in pieces.
struct Block {
    /// The agent's place of it in the message.
    index: u64,
    /// Whether it is a thought.
    thinking: bool,
    /// What came so far.
    text: String,
    /// Our number of it.
    number: u64,
    /// Whether the whole of it has come.
    whole: bool,
}

impl Texts {
    /// Another message begins.
    pub(super) fn begin(&mut self, message: Option<String>) {
        self.message = message;
        self.blocks.clear();
    }

    /// A number that no block has.
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A piece.
    pub(super) fn piece(&mut self, index: u64, thinking: bool, text: &str) -> Option<Step> {
        if text.is_empty() {
            return None;
        }
        let known = self.blocks.iter_mut().position(|block| block.index == index && block.thinking == thinking && !block.whole);
        let place = match known {
            Some(place) => place,
            None => {
                let number = self.number();
                self.blocks.push(Block { index, thinking, text: String::new(), number, whole: false });
                self.blocks.len() - 1
            }
        };
        let block = self.blocks.get_mut(place)?;
        block.text.push_str(text);
        Some(Step::text(kind(thinking), text, block.number))
    }

    /// The whole of a block. What of it did not come in pieces is still to be said.
    pub(super) fn whole(&mut self, message: Option<&str>, thinking: bool, text: &str) -> Option<Step> {
        let is_this = self.message.is_none() || message.is_none() || self.message.as_deref() == message;
        let block = self.blocks.iter_mut().filter(|_| is_this).find(|block| block.thinking == thinking && !block.whole);
        if let Some(block) = block {
            block.whole = true;
            if let Some(rest) = text.strip_prefix(block.text.as_str()) {
                return (!rest.is_empty()).then(|| Step::text(kind(thinking), rest, block.number));
            }
            if block.text.starts_with(text) {
                return None;
            }
        }
        let number = self.number();
        (!text.is_empty()).then(|| Step::text(kind(thinking), text, number))
    }
}

/// How a line begins that is a piece of a text.
const PIECE: &str = r#"{"type":"stream_event","event":{"type":"content_block_delta","#;

/// A line that is a piece of a text.
#[derive(Deserialize)]
struct PieceLine<'a> {
    #[serde(borrow)]
    event: PieceEvent<'a>,
    #[serde(default)]
    parent_tool_use_id: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct PieceEvent<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    text: Cow<'a, str>,
    #[serde(default, borrow)]
    thinking: Cow<'a, str>,
}

/// A thought or a text.
const fn kind(thinking: bool) -> TaskEventKind {
    if thinking { TaskEventKind::Thinking } else { TaskEventKind::Text }
}

impl Claude {
    /// Nearly all lines are pieces of a text. Such a line is read here without a value for each of its parts; nothing where it is anything else, or not quite as
    /// expected: then the others read it.
    pub(super) fn piece_in(&mut self, line: &str) -> Option<Steps> {
        let line: PieceLine<'_> = line.starts_with(PIECE).then(|| serde_json::from_str(line).ok())??;
        let PieceEvent { index, delta } = line.event;
        match (delta.kind.as_ref(), line.parent_tool_use_id) {
            ("text_delta", None) => Some(self.texts.piece(index, false, &delta.text).into_iter().collect()),
            ("thinking_delta", None) => Some(self.texts.piece(index, true, &delta.thinking).into_iter().collect()),
            _ => None,
        }
    }
}

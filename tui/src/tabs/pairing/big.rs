//! Six digits that can be read across a room, and the words that stand for them.

use loopsy_shared::{id::NodeId, secret::digest};
use ratatui::layout::Rect;

use crate::{app::Canvas, look::Role, widgets::text::put};

/// Columns of six digits in two groups.
pub(super) const COLUMNS: u16 = 56;

/// Six dots wide and eight high; a cell of the screen is two of them high.
const DOTS: [[&str; 8]; 10] = [
    [".####.", "##..##", "##..##", "##..##", "##..##", "##..##", "##..##", ".####."],
    ["..##..", ".###..", "####..", "..##..", "..##..", "..##..", "..##..", "######"],
    [".####.", "##..##", "....##", "...##.", "..##..", ".##...", "##....", "######"],
    [".####.", "##..##", "....##", "..###.", "....##", "....##", "##..##", ".####."],
    ["...##.", "..###.", ".####.", "##.##.", "##.##.", "######", "...##.", "...##."],
    ["######", "##....", "##....", "#####.", "....##", "....##", "##..##", ".####."],
    ["..###.", ".##...", "##....", "#####.", "##..##", "##..##", "##..##", ".####."],
    ["######", "....##", "....##", "...##.", "..##..", "..##..", ".##...", ".##..."],
    [".####.", "##..##", "##..##", ".####.", "##..##", "##..##", "##..##", ".####."],
    [".####.", "##..##", "##..##", "##..##", ".#####", "....##", "...##.", ".###.."],
];

/// The same for a screen that has nothing but ASCII: five rows of cells.
const CELLS: [[&str; 5]; 10] = [
    [".####.", "##..##", "##..##", "##..##", ".####."],
    ["..##..", "####..", "..##..", "..##..", "######"],
    ["#####.", "....##", ".####.", "##....", "######"],
    ["#####.", "....##", ".####.", "....##", "#####."],
    ["##..##", "##..##", "######", "....##", "....##"],
    ["######", "##....", "#####.", "....##", "#####."],
    [".####.", "##....", "#####.", "##..##", ".####."],
    ["######", "....##", "...##.", "..##..", "..##.."],
    [".####.", "##..##", ".####.", "##..##", ".####."],
    [".####.", "##..##", ".#####", "....##", ".####."],
];

/// `482 913`, whatever has another length as it is.
pub(super) fn spaced(digits: &str) -> String {
    match (digits.get(..3), digits.get(3..)) {
        (Some(left), Some(right)) if digits.len() == 6 => format!("{left} {right}"),
        _ => digits.to_owned(),
    }
}

/// Rows of the digits as they are drawn.
fn rows(digits: &str, ascii: bool) -> Vec<String> {
    let digits: Vec<usize> = digits.chars().filter_map(|c| c.to_digit(10)).map(|digit| digit as usize).collect();
    let line = |of: &dyn Fn(usize) -> String| {
        let mut out = String::new();
        for (index, digit) in digits.iter().enumerate() {
            match index {
                0 => {}
                3 => out.push_str("        "),
                _ => out.push_str("   "),
            }
            out.push_str(&of(*digit));
        }
        out
    };
    if ascii {
        return (0..5).map(|row| line(&|digit| CELLS[digit][row].replace('.', " "))).collect();
    }
    let half = |upper: &str, lower: &str| -> String {
        upper
            .bytes()
            .zip(lower.bytes())
            .map(|pair| match pair {
                (b'#', b'#') => '█',
                (b'#', _) => '▀',
                (_, b'#') => '▄',
                _ => ' ',
            })
            .collect()
    };
    (0..4).map(|row| line(&|digit| half(DOTS[digit][row * 2], DOTS[digit][row * 2 + 1]))).collect()
}

/// Draws digits as big as there is room for; how many rows they took.
pub(super) fn draw(area: Rect, row: u16, digits: &str, canvas: &mut Canvas<'_>) -> u16 {
    let style = canvas.look.style(Role::Strong);
    let rows = rows(digits, canvas.look.ascii);
    let big = canvas.buf.area.width >= 60 && area.width >= COLUMNS + 2 && area.height >= row + rows.len() as u16 + 6;
    if !big && area.height < 10 {
        // The line of text below says it.
        return 0;
    }
    if !big {
        let wide: Vec<String> = digits.chars().map(String::from).collect();
        let (left, right) = wide.split_at(wide.len().min(3));
        put(canvas.buf, area, 2, row, &format!("{}   {}", left.join(" "), right.join(" ")), style);
        return 1;
    }
    let column = (area.width - COLUMNS) / 2;
    for (line, text) in (row..).zip(&rows) {
        put(canvas.buf, area, column, line, text, style);
    }
    rows.len() as u16
}

/// Seven words for the digits and the two machines: both screens have the same ones when they have the same digits of the same two machines.
pub(super) fn words(digits: &str, one: &NodeId, other: &NodeId) -> [&'static str; 7] {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    let bytes = digest(format!("loopsy pairing words\n{first}\n{second}\n{digits}").as_bytes());
    std::array::from_fn(|at| WORDS[usize::from(bytes[at])])
}

/// Short words that are told apart when they are read aloud.
const WORDS: [&str; 256] = [
    "acorn", "actor", "album", "alley", "amber", "anchor", "angel", "ankle", "apple", "apron", "arrow", "atlas", "attic", "autumn", "bacon", "badge", "bagel",
    "baker", "ballet", "bamboo", "banana", "banjo", "barrel", "basket", "beach", "bear", "bell", "berry", "bicycle", "bird", "blanket", "boat", "book",
    "bottle", "box", "branch", "bread", "brick", "bridge", "broom", "brush", "bubble", "bucket", "butter", "button", "cabin", "cactus", "cake", "camel",
    "camera", "candle", "canoe", "captain", "carpet", "carrot", "castle", "cave", "ceiling", "chair", "chalk", "cheese", "cherry", "chess", "chicken",
    "circle", "circus", "cliff", "clock", "cloud", "clover", "coat", "coffee", "comet", "copper", "coral", "corner", "cotton", "cow", "crab", "crayon",
    "crown", "cup", "curtain", "daisy", "dancer", "deer", "desert", "diamond", "doctor", "dog", "dolphin", "donkey", "door", "dragon", "drum", "duck", "eagle",
    "ear", "egg", "elbow", "elephant", "engine", "envelope", "eye", "falcon", "farmer", "feather", "fence", "fiddle", "field", "finger", "fire", "fish",
    "flag", "flower", "flute", "forest", "fork", "fox", "frog", "garden", "garlic", "ghost", "giant", "ginger", "giraffe", "glove", "goat", "gold", "grape",
    "grass", "guitar", "hammer", "harbor", "hat", "hawk", "helmet", "hill", "honey", "horse", "hotel", "house", "ice", "igloo", "ink", "iron", "island",
    "ivory", "jacket", "jaguar", "jar", "jelly", "jewel", "judge", "juice", "jungle", "kettle", "key", "king", "kite", "kitten", "knee", "ladder", "lake",
    "lamp", "lemon", "leopard", "letter", "lily", "lion", "lizard", "magnet", "mango", "maple", "marble", "market", "mask", "meadow", "melon", "mirror",
    "monkey", "moon", "mountain", "mouse", "museum", "mushroom", "music", "nail", "napkin", "needle", "nest", "night", "nose", "nut", "oak", "ocean", "olive",
    "onion", "opera", "orange", "orchid", "otter", "oven", "owl", "oyster", "paint", "palace", "panda", "paper", "parrot", "peach", "pencil", "pepper",
    "piano", "pillow", "pilot", "pizza", "planet", "plum", "pocket", "pond", "pony", "potato", "puzzle", "queen", "quilt", "rabbit", "radio", "rain", "ribbon",
    "river", "robot", "rocket", "rose", "ruby", "saddle", "sailor", "salad", "sand", "school", "shark", "sheep", "shell", "shirt", "silver", "snail", "snow",
    "spider", "spoon", "star", "stone", "sugar", "sun", "table", "tiger", "tulip",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_six_wide_and_no_two_are_alike() {
        for ascii in [false, true] {
            let all: Vec<Vec<String>> = (0..10).map(|digit| rows(&digit.to_string(), ascii)).collect();
            for (at, one) in all.iter().enumerate() {
                assert!(one.iter().all(|row| crate::widgets::text::width(row) == 6), "{at}: {one:?}");
                assert!(all[at + 1..].iter().all(|other| other != one));
            }
            assert!(rows("482913", ascii).iter().all(|row| crate::widgets::text::width(row) == usize::from(COLUMNS)));
            assert!(!ascii || rows("0123456789", ascii).iter().all(|row| row.is_ascii()));
        }
    }

    #[test]
    fn words_are_the_same_on_both_screens_and_no_two_in_the_list_are_alike() {
        let (leo, kai) = (NodeId::from("leo-id"), NodeId::from("kai-id"));
        assert_eq!(words("482913", &leo, &kai), words("482913", &kai, &leo));
        assert_ne!(words("482913", &leo, &kai), words("482914", &leo, &kai));
        let mut sorted = WORDS.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 256);
    }
}

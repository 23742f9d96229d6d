//! Finds the commands in a shell script: enough of the shell's grammar to see through quotes, lists, substitutions and redirections. It runs nothing and expands
//! nothing but positional parameters.

use std::{collections::VecDeque, iter::Peekable, str::Chars};

/// What a script would run, and what it touches by itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// Simple commands as words without their quotes, without assignments and keywords before them.
    pub(crate) commands: Vec<Vec<String>>,
    /// Scripts in substitutions.
    pub(crate) inner: Vec<String>,
    /// Files that redirections write.
    pub(crate) writes: Vec<String>,
    /// Files that redirections read.
    pub(crate) reads: Vec<String>,
    /// Variables that it sets, with their values where they are written there.
    pub(crate) variables: Vec<String>,
    /// Whether it has anything that a shell may understand in another way than this reader does. `commands` then has what was found, and maybe not all.
    pub(crate) unclear: bool,
}

/// What the next word is, where it is no part of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redirect {
    /// A file that is read.
    Read,
    /// A file that is written.
    Write,
    /// The last line of a document, or a text.
    Data,
    /// The number of another stream, or a file that is written.
    Copy,
}

/// Stands in a word for output that nobody can know.
pub(crate) const UNKNOWN: &str = "$()";

/// Bytes of positional parameters that are expanded; past this, they are unknown.
const EXPANSION: usize = 256 * 1024;

/// Stands in a word for all positional parameters.
const ALL: char = '\u{E000}';

/// Words after which a command begins.
const BEFORE: [&str; 14] = ["if", "then", "elif", "else", "while", "until", "do", "!", "{", "}", "coproc", "fi", "done", "esac"];

/// Words that begin something that is not a command, up to the next separator.
const DATA: [&str; 4] = ["for", "case", "select", "[["];

/// Reads a script; `parameters` are `$0`, `$1` and so on.
pub(crate) fn parse(text: &str, parameters: &[String]) -> Script {
    let mut parser = Parser {
        chars: text.chars().peekable(),
        parameters,
        script: Script::default(),
        words: Vec::new(),
        redirects: None,
        documents: VecDeque::new(),
        cases: 0,
        pattern: false,
        room: EXPANSION,
    };
    parser.run();
    parser.script
}

struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
    parameters: &'a [String],
    script: Script,
    words: Vec<String>,
    /// Whether the next word is a file, not a part of the command.
    redirects: Option<Redirect>,
    /// Last lines of the documents that begin after the next newline, and whether they are expanded; the newest may still have to be read.
    documents: VecDeque<Option<(String, bool)>>,
    /// How many `case` are open.
    cases: usize,
    /// Whether a pattern of `case` comes next, not a command.
    pattern: bool,
    /// Bytes that may still be expanded.
    room: usize,
}

impl Parser<'_> {
    fn run(&mut self) {
        while let Some(c) = self.chars.peek().copied() {
            match c {
                '<' | '>' => self.redirection(),
                '#' => self.skip_line(),
                c if c.is_whitespace() || is_operator(c) => {
                    self.chars.next();
                    if c == '\n' {
                        self.end_command(c);
                        self.documents();
                    } else if is_operator(c) && !(c == '&' && self.chars.peek() == Some(&'>')) {
                        self.end_command(c);
                        self.pattern |= self.cases > 0 && c == ';' && matches!(self.chars.peek(), Some(';' | '&'));
                    }
                }
                _ => self.word(),
            }
        }
        self.end_command('\n');
        self.script.unclear |= !self.documents.is_empty();
    }

    fn redirection(&mut self) {
        let first = self.chars.next();
        self.script.unclear |= self.redirects.is_some();
        if self.chars.next_if_eq(&'(').is_some() {
            let inner = self.balanced('(', ')');
            self.script.inner.push(inner);
            return self.end_word(UNKNOWN.to_owned(), false);
        }
        let rest: String = std::iter::from_fn(|| self.chars.next_if(|c| matches!(c, '<' | '>' | '&' | '|'))).collect();
        if first == Some('<') && rest == "<" {
            self.chars.next_if_eq(&'-');
            self.documents.push_back(None);
        }
        self.redirects = Some(match (first, rest.as_str()) {
            (Some('<'), "") => Redirect::Read,
            (Some('<'), "<" | "<<") => Redirect::Data,
            (_, "&") => Redirect::Copy,
            (_, "" | ">" | "|") => Redirect::Write,
            _ => {
                self.script.unclear = true;
                Redirect::Write
            }
        });
    }

    fn word(&mut self) {
        let (mut word, mut bare, mut begun) = (String::new(), true, false);
        while let Some(c) = self.chars.next_if(|c| !c.is_whitespace() && !is_operator(*c) && !matches!(c, '<' | '>')) {
            if c == '\\' && self.chars.next_if_eq(&'\n').is_some() {
                if begun {
                    continue;
                }
                return; // the line goes on, and no word has begun
            }
            begun = true;
            bare &= !matches!(c, '\'' | '"' | '\\' | '`' | '$');
            match c {
                '\'' => self.until_quote(&mut word),
                '"' => self.double_quoted(&mut word),
                '\\' => {
                    self.script.unclear |= self.chars.peek().is_none();
                    word.extend(self.chars.next());
                }
                '$' if self.chars.next_if_eq(&'\'').is_some() => self.ansi_quoted(&mut word),
                '$' if self.chars.peek() == Some(&'"') => {}
                '$' => self.expansion(&mut word),
                '`' => self.backticks(&mut word),
                c => word.push(c),
            }
        }
        self.end_word(word, bare);
    }

    fn until_quote(&mut self, word: &mut String) {
        for c in self.chars.by_ref() {
            if c == '\'' {
                return;
            }
            word.push(c);
        }
        self.script.unclear = true;
    }

    fn double_quoted(&mut self, word: &mut String) {
        while let Some(c) = self.chars.next() {
            match c {
                '"' => return,
                '\\' => match self.chars.next() {
                    Some('\n') | None => {}
                    Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                    Some(c) => word.extend(['\\', c]),
                },
                '$' => self.expansion(word),
                '`' => self.backticks(word),
                c => word.push(c),
            }
        }
        self.script.unclear = true;
    }

    fn ansi_quoted(&mut self, word: &mut String) {
        while let Some(c) = self.chars.next().filter(|c| *c != '\'') {
            let escaped = if c == '\\' { self.chars.next() } else { None };
            self.script.unclear |= c == '\\';
            match escaped {
                None => word.push(c),
                Some('x') => self.number(word, 16, 2),
                Some('u') => self.number(word, 16, 4),
                Some('U') => self.number(word, 16, 8),
                Some('n' | 'r' | 't' | 'v' | 'f' | 'a' | 'b') => word.push(' '),
                Some(c) if c.is_digit(8) => {
                    let digits: String = std::iter::once(c).chain(self.digits(8, 2).chars()).collect();
                    word.extend(u32::from_str_radix(&digits, 8).ok().and_then(char::from_u32));
                }
                Some(c) => word.push(c),
            }
        }
    }

    fn number(&mut self, word: &mut String, radix: u32, most: usize) {
        let digits = self.digits(radix, most);
        word.extend(u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32));
    }

    fn digits(&mut self, radix: u32, most: usize) -> String {
        (0..most).map_while(|_| self.chars.next_if(|c| c.is_digit(radix))).collect()
    }

    fn expansion(&mut self, word: &mut String) {
        match self.chars.peek().copied() {
            Some('(') => {
                self.chars.next();
                let inner = self.balanced('(', ')');
                self.substitution(inner, word);
            }
            Some('{') => {
                self.chars.next();
                let name = self.balanced('{', '}');
                self.parameter(&name, word);
            }
            Some(c @ ('@' | '*' | '0'..='9')) => {
                self.chars.next();
                self.parameter(c.encode_utf8(&mut [0; 4]), word);
            }
            next => {
                self.script.unclear |= next == Some('\\'); // the line may go on, and with it the substitution
                word.push('$');
            }
        }
    }

    fn parameter(&mut self, name: &str, word: &mut String) {
        self.script.unclear |= !is_plain(name);
        match name.parse::<usize>() {
            Ok(number) => {
                let value = self.parameters.get(number).map_or("", String::as_str);
                word.push_str(if self.take_room(value.len()) { value } else { UNKNOWN });
            }
            Err(_) if matches!(name, "@" | "*") => word.push(ALL),
            Err(_) => {
                self.script.inner.extend(name.split_once("$(").map(|(_, inner)| inner.trim_end_matches(')').to_owned()));
                word.push_str(UNKNOWN);
            }
        }
    }

    fn take_room(&mut self, length: usize) -> bool {
        let left = self.room.checked_sub(length);
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    fn backticks(&mut self, word: &mut String) {
        let mut inner = String::new();
        while let Some(c) = self.chars.next().filter(|c| *c != '`') {
            self.script.unclear |= matches!(c, '\'' | '"' | '\\') || self.chars.peek().is_none();
            inner.extend(if c == '\\' { self.chars.next() } else { Some(c) });
        }
        self.substitution(inner, word);
    }

    fn substitution(&mut self, inner: String, word: &mut String) {
        if !inner.trim().is_empty() {
            word.push_str(UNKNOWN);
            self.script.inner.push(inner);
        }
    }

    /// What comes before the bracket that closes the one just read.
    fn balanced(&mut self, open: char, close: char) -> String {
        let (mut text, mut depth, mut quote) = (String::new(), 1_usize, None);
        let mut before = ' ';
        while let Some(c) = self.chars.next() {
            let next = self.chars.peek().copied();
            // Where brackets and quotes may count in another way than here.
            self.script.unclear |= match quote {
                None => c == '`' || c == '#' && !before.is_alphanumeric() || c == '$' && next == Some('\'') || c == '<' && next == Some('<'),
                Some('"') => c == '`' || c == '$' && matches!(next, Some('(' | '{')),
                Some(_) => false,
            };
            before = c;
            match c {
                '\\' if quote != Some('\'') => {
                    text.push(c);
                    text.extend(self.chars.next());
                    continue;
                }
                '\'' | '"' if quote.is_none() => quote = Some(c),
                c if quote == Some(c) => quote = None,
                c if quote.is_none() && c == open => depth += 1,
                c if quote.is_none() && c == close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return text;
            }
            text.push(c);
        }
        self.script.unclear = true;
        text
    }

    fn end_word(&mut self, word: String, bare: bool) {
        let all = self.parameters.get(1..).unwrap_or_default();
        let (expansions, size) = (word.matches(ALL).count(), all.iter().map(|parameter| parameter.len() + size_of::<String>()).sum::<usize>());
        if expansions > 0 && !self.take_room(expansions.saturating_mul(size)) {
            self.words.push(UNKNOWN.to_owned());
            self.script.unclear = true;
        } else if let Some(redirect) = self.redirects.take() {
            self.redirected(redirect, word, bare);
        } else if word.starts_with(ALL) && word.chars().count() == 1 {
            self.words.extend(all.iter().cloned());
        } else if bare && word.starts_with('{') && word.ends_with('}') && word.contains(',') {
            self.words.extend(word[1..word.len() - 1].split(',').map(str::to_owned));
        } else if !(bare && self.chars.peek().is_some_and(|c| matches!(c, '<' | '>')) && word.chars().all(|c| c.is_ascii_digit())) {
            self.words.push(if expansions > 0 { word.replace(ALL, &all.join(" ")) } else { word });
        }
    }

    fn redirected(&mut self, redirect: Redirect, word: String, bare: bool) {
        if let Some(last @ None) = self.documents.back_mut() {
            self.script.unclear |=
                redirect != Redirect::Data || word.is_empty() || !word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
            *last = Some((word, bare));
            return;
        }
        let stream = word.strip_suffix('-').unwrap_or(&word);
        match redirect {
            Redirect::Read => self.script.reads.push(word),
            Redirect::Copy if stream.chars().all(|c| c.is_ascii_digit()) => {}
            Redirect::Write | Redirect::Copy => self.script.writes.push(word),
            Redirect::Data => {}
        }
    }

    /// Ends a command with the character after it.
    fn end_command(&mut self, end: char) {
        self.script.unclear |= self.redirects.take().is_some();
        // A function: its body is found, what it is called with is not.
        self.script.unclear |= end == '(' && self.chars.peek() == Some(&')');
        let mut words = std::mem::take(&mut self.words);
        if self.pattern
            && let Some(first) = words.first_mut()
            && first != "esac"
        {
            *first = first.replace(is_glob, UNKNOWN);
            self.pattern = end != ')';
        }
        let mut rest = words.as_slice();
        while let Some((first, after)) = rest.split_first() {
            self.note(first, after);
            rest = match first.as_str() {
                "function" => after.get(1..).unwrap_or_default(),
                "coproc" if after.get(1).is_some_and(|word| BEFORE.contains(&word.as_str()) || DATA.contains(&word.as_str())) => &after[1..], // its name
                "case" => {
                    self.pattern = end != ')' && (after.len() < 3 || after.last().is_none_or(|last| last != "esac"));
                    self.cases += usize::from(self.pattern || end == ')');
                    return;
                }
                "esac" => {
                    self.cases = self.cases.saturating_sub(1);
                    self.pattern = false;
                    after
                }
                word if DATA.contains(&word) => return,
                word if BEFORE.contains(&word) || is_assignment(word) => after,
                _ => break,
            };
        }
        if !rest.is_empty() {
            self.script.commands.push(rest.to_vec());
        }
    }

    /// Writes down what a word at the place of a program says beside what it runs.
    fn note(&mut self, first: &str, after: &[String]) {
        match first {
            "function" | "coproc" | "case" | "esac" | "select" => self.script.unclear = true,
            "for" => {
                self.script.unclear |= after.get(1).is_none_or(|word| word != "in") || after.iter().any(|word| matches!(word.as_str(), "do" | "{"));
                self.script.variables.extend(after.first().cloned());
            }
            "[[" => self.script.unclear |= after.last().is_none_or(|word| word != "]]"),
            word if is_assignment(word) => self.script.variables.push(word.to_owned()),
            _ => {}
        }
    }

    fn skip_line(&mut self) {
        while self.chars.next_if(|c| *c != '\n').is_some() {}
    }

    /// Passes over documents; what is substituted in them is run.
    fn documents(&mut self) {
        while let Some(last) = self.documents.pop_front() {
            let (mut text, mut ended) = (String::new(), false);
            while self.chars.peek().is_some() {
                let line: String = std::iter::from_fn(|| self.chars.next().filter(|c| *c != '\n')).collect();
                if last.as_ref().is_none_or(|(last, _)| line.trim_start_matches('\t') == last) {
                    self.script.unclear |= line.starts_with('\t'); // only some documents end so
                    ended = true;
                    break;
                }
                text.extend([line.as_str(), "\n"]);
            }
            self.script.unclear |= !ended;
            if last.is_some_and(|(_, expanded)| expanded) {
                self.script.unclear |= text.contains(['$', '`', '\\']);
                self.expand(&text);
            }
        }
    }

    fn expand(&mut self, text: &str) {
        let script = Script::default();
        let mut parser = Parser { chars: text.chars().peekable(), script, words: Vec::new(), documents: VecDeque::new(), ..*self };
        while parser.chars.peek().is_some() {
            parser.double_quoted(&mut String::new()); // quotes mean nothing in there
        }
        let (inner, room) = (parser.script.inner, parser.room);
        self.script.inner.extend(inner);
        self.room = room;
    }
}

const fn is_operator(c: char) -> bool {
    matches!(c, ';' | '|' | '&' | '(' | ')')
}

/// Whether what stands in `${..}` is a variable's value as it is: a name that is no number, and nothing done to it.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a character makes a word stand for files.
pub(crate) const fn is_glob(c: char) -> bool {
    matches!(c, '*' | '?' | '[')
}

/// Whether a pattern with `*`, `?` and `[...]` stands for a name.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some(length) = one(&pattern[p..], name[n]) {
            (p, n) = (p + length, n + 1);
        } else if let Some((at, seen)) = star {
            star = Some((at, seen + 1));
            (p, n) = (at + 1, seen + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How much of a pattern stands for that character, if it does.
fn one(pattern: &[char], c: char) -> Option<usize> {
    let (first, rest) = pattern.split_first()?;
    let not = rest.first().is_some_and(|c| matches!(c, '!' | '^'));
    let begin = usize::from(not);
    let close = rest.iter().skip(begin + 1).position(|c| *c == ']').map(|at| at + begin + 1); // a bracket that comes first means itself
    match (first, close) {
        ('?', _) => Some(1),
        ('[', Some(close)) => {
            let set = &rest[begin..close];
            let within = set.contains(&c) || set.windows(3).any(|range| range[1] == '-' && (range[0]..=range[2]).contains(&c));
            (within != not).then_some(close + 2)
        }
        (first, _) => (*first == c).then_some(1),
    }
}

/// Whether a word sets a variable: `NAME=value`.
pub(crate) fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name.strip_suffix('+').unwrap_or(name));
    name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firsts(text: &str) -> Vec<String> {
        parse(text, &["sh".into(), "one".into(), "two".into()]).commands.into_iter().filter_map(|words| words.into_iter().next()).collect()
    }

    #[test]
    fn commands_are_found_and_data_is_not() {
        for (text, expected) in [
            ("a; b && c || d | e & f\ng", vec!["a", "b", "c", "d", "e", "f", "g"]),
            ("X=1 Y=2 a b", vec!["a"]),
            ("if a; then b; else c; fi", vec!["a", "b", "c"]),
            ("for x in a b; do c $x; done", vec!["c"]),
            ("(a; { b; })", vec!["a", "b"]),
            ("'r'm \"r\"m", vec!["rm"]),
            ("r\\m", vec!["rm"]),
            ("$'\\x72\\155'", vec!["rm"]),
            ("a >b 2>&1 <c d", vec!["a"]),
            (">out a", vec!["a"]),
            ("a 2>/dev/null; b &>c; d", vec!["a", "b", "d"]),
            ("cat <<EOF\nrm x\nEOF\nb", vec!["cat", "b"]),
            ("cat <<-'EOF'\n\trm x\n\tEOF\nb", vec!["cat", "b"]),
            ("a # rm\nb", vec!["a", "b"]),
            ("echo 'a; b' \"c; d\"", vec!["echo"]),
            ("\"$@\"", vec!["one"]),
            ("$2", vec!["two"]),
            ("{rm,-rf,x}", vec!["rm"]),
            ("f() { rm x; }", vec!["f", "rm"]),
            ("cat <<< x; b", vec!["cat", "b"]),
            ("cat <<<x\nb\nx", vec!["cat", "b", "x"]),
            ("a >&- 2>&1 b; c", vec!["a", "c"]),
            ("coproc a b; coproc N { c; }", vec!["a", "c"]),
            ("case x in esac; r*", vec!["r*"]),
            ("case x in a) b;; *|?) c ;; esac; r*", vec!["b", "$()", "$()", "c", "r*"]),
            ("case x in\n[a-z]*) b\n;;\nesac\nr*", vec!["$()a-z]$()", "b", "r*"]),
        ] {
            assert_eq!(firsts(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_goes_on_makes_no_word() {
        assert_eq!(parse("\\\n rm x \\\n  y", &[]).commands, [["rm", "x", "y"]]);
        assert_eq!(firsts("true \\\n# '\nrm x #'"), ["true", "rm"]);
    }

    #[test]
    fn files_and_variables_are_written_down() {
        let script = parse("X=1 a >one 2>>two <three 2>&1 >&- &>four >&five <<<six; for y in z; do b >|seven; done", &[]);
        assert_eq!((script.writes.join(" "), script.reads.join(" ")), ("one two four five seven".to_owned(), "three".to_owned()));
        assert_eq!((script.variables.join(" "), script.unclear), ("X=1 y".to_owned(), false));
    }

    #[test]
    fn what_a_shell_may_read_otherwise_is_unclear() {
        for text in [
            "a 'b",
            "a \"b",
            "a $(b",
            "a `b",
            "a <<X\nb",
            "cat <<$(x)\nb\n$()",
            "cat <<X\n\tX\nX",
            "cat <<X\n$y\nX",
            "$@",
            "a $1",
            "a ${x:-y}",
            "a ${!x}",
            "case x in esac",
            "f() { a; }",
            "function f { a; }",
            "for x do a; done",
            "select x in a; do b; done",
            "coproc a",
            "a $'\\x41'",
            "a \"$\\\n(b)\"",
            "$(a # b)",
            "$(a \"$(b)\")",
            "$(a <<X\nX\n)",
            "a `b 'c'`",
            "a <\\\n<b",
            "a >",
            "a\\",
        ] {
            assert!(parse(text, &[]).unclear, "{text}");
        }
        for text in ["a $(b 'c' \"d\") `e` \"$(f)\" $x ${y}", "cat <<'X'\nit's $y\nX\nb", "[[ -f a ]] && b", "if a; then b; fi", "a #b'", "a \\\n b"] {
            assert!(!parse(text, &[]).unclear, "{text}");
        }
    }

    #[test]
    fn globs_match() {
        for (pattern, matches) in [
            ("r?", true),
            ("r[m]", true),
            ("[r][!a]", true),
            ("[a-z]m", true),
            ("[!a]*", true),
            ("*m*", true),
            ("[]r]m", true),
            ("r", false),
            ("r[!m]", false),
            ("*.m", false),
            ("[rm", false),
            ("", false),
        ] {
            assert_eq!(glob(pattern, "rm"), matches, "{pattern}");
        }
    }

    #[test]
    fn substitutions_are_scripts_of_their_own() {
        assert_eq!(parse("echo $(rm $(x)) `y` \"$(z)\" <(w)", &[]).inner, ["rm $(x)", "y", "z", "w"]);
        assert_eq!(parse("cat <<A <<'B'\n\"$(x)\" `y` \\$(z)\nA\n$(w)\nB\n", &[]).inner, ["x", "y"]);
    }
}

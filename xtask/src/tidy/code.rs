//! Rust source as tidy sees it: code without comments and texts, its functions, its test modules.
//!
//! Here: a scanner that knows comments, literals and braces, nothing else of the language. Not here: the rules.
//! Invariant: blanking keeps every line break, so that a line number in the blanked text is one of the file.

/// A source text with comments and the contents of literals blanked out.
#[derive(Debug)]
pub(crate) struct Code {
    text: String,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// First line, counted from 1: that of `fn`.
    pub(crate) line: usize,
    /// Number of lines from `fn` to the closing brace.
    pub(crate) lines: usize,
}

/// The test modules of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestModules {
    /// Lines of those with a body, first to last, counted from 1.
    pub(crate) inline: Vec<(usize, usize)>,
    /// Names of those that are files of their own.
    pub(crate) files: Vec<String>,
}

/// What marks an item as one of tests only.
const TEST_ATTRIBUTE: &str = "#[cfg(test)]";

impl Code {
    /// Blanks comments and literals.
    pub(crate) fn new(source: &str) -> Self {
        Self { text: Blanker { rest: source, out: String::with_capacity(source.len()) }.run() }
    }

    /// The blanked text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// All functions that have a body, in order; nested ones too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (start, word) in self.words() {
            if word != "fn" {
                continue;
            }
            let rest = &self.text[start + word.len()..];
            // Without a name it is a function type.
            let Some(name) = first_word(rest) else { continue };
            let Some(body) = body_start(rest) else { continue };
            let end = start + word.len() + body + block_len(&rest[body..]);
            let line = self.line_at(start);
            let lines = self.line_at(end.saturating_sub(1)) + 1 - line;
            found.push(Function { name: name.to_owned(), line, lines });
        }
        found
    }

    /// The modules that are compiled for tests only.
    pub(crate) fn test_modules(&self) -> TestModules {
        let mut modules = TestModules::default();
        for (start, _) in self.text.match_indices(TEST_ATTRIBUTE) {
            let after = start + TEST_ATTRIBUTE.len();
            let Some((name, offset)) = module_name(&self.text[after..]) else { continue };
            let rest = &self.text[after + offset..];
            if rest.trim_start().starts_with(';') {
                modules.files.push(name.to_owned());
            } else if let Some(body) = body_start(rest) {
                let end = after + offset + body + block_len(&rest[body..]);
                let lines = (self.line_at(start), self.line_at(end.saturating_sub(1)));
                modules.inline.push(lines);
            }
        }
        modules
    }

    /// Number of the line that holds the byte at `offset`, counted from 1.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Words with their offsets.
    fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = at + self.text.get(at..)?.find(is_word)?;
            let rest = &self.text[start..];
            let len = rest.find(|it| !is_word(it)).unwrap_or(rest.len());
            at = start + len;
            Some((start, &rest[..len]))
        })
    }
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// The word that `text` begins with, white space left out.
fn first_word(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let end = text.find(|it| !is_word(it)).unwrap_or(text.len());
    text.get(..end).filter(|word| !word.is_empty())
}

/// Name of the module that `text` declares at its beginning, and the offset behind the name.
fn module_name(text: &str) -> Option<(&str, usize)> {
    let after = text.trim_start();
    let after = after.strip_prefix("pub(crate) ").unwrap_or(after).strip_prefix("mod ")?;
    let name = first_word(after)?;
    Some((name, text.len() - after.trim_start().len() + name.len()))
}

/// Offset of the brace that begins the body of an item; none if a semicolon ends the item before.
fn body_start(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, character) in text.char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' if depth == 0 => return Some(offset),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Length of the block in braces that `text` begins with, both braces included.
fn block_len(text: &str) -> usize {
    let mut depth = 0_usize;
    for (offset, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return offset + 1;
        }
    }
    text.len()
}

/// Walks through a source text once.
struct Blanker<'a> {
    rest: &'a str,
    out: String,
}

impl Blanker<'_> {
    fn run(mut self) -> String {
        while let Some(first) = self.rest.chars().next() {
            if self.rest.starts_with("//") {
                self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.blank(block_comment_len(self.rest));
            } else if let Some(len) = raw_literal_len(self.rest) {
                self.blank(len);
            } else if first == '"' {
                self.blank(1 + quoted_len(&self.rest[1..], '"'));
            } else if first == '\'' {
                match character_len(self.rest) {
                    Some(len) => self.blank(len),
                    None => self.keep(1),
                }
            } else if is_word(first) {
                let end = self.rest.find(|it| !is_word(it)).unwrap_or(self.rest.len());
                // `b"`, `c"`: the prefix stays, the literal comes next.
                self.keep(end);
            } else {
                self.keep(first.len_utf8());
            }
        }
        self.out
    }

    fn keep(&mut self, len: usize) {
        let (kept, rest) = self.rest.split_at(len);
        self.out.push_str(kept);
        self.rest = rest;
    }

    fn blank(&mut self, len: usize) {
        let (gone, rest) = self.rest.split_at(len);
        self.out.extend(gone.chars().map(|it| if it == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

/// Length of a block comment, nested ones included.
fn block_comment_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Length of the raw text literal (`r"…"`, `br#"…"#`) that `text` begins with.
fn raw_literal_len(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix("cr"));
    let after = after.or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let content = after[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = content.find(&closing).map_or(content.len(), |end| end + closing.len());
    Some(text.len() - content.len() + end)
}

/// Length up to and with the closing `quote`, a backslash protecting what follows it.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (offset, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            it if it == quote => return offset + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of the character literal that `text` begins with; none if it is a life time.
fn character_len(text: &str) -> Option<usize> {
    let content = &text[1..];
    let first = content.chars().next()?;
    if first == '\\' {
        return Some(1 + quoted_len(content, '\''));
    }
    content[first.len_utf8()..].starts_with('\'').then_some(2 + first.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(source: &str) -> Vec<(String, usize, usize)> {
        let functions = Code::new(source).functions();
        functions.into_iter().map(|it| (it.name, it.line, it.lines)).collect()
    }

    fn named(name: &str, line: usize, lines: usize) -> (String, usize, usize) {
        (name.to_owned(), line, lines)
    }

    #[test]
    fn blanking_keeps_lines_and_code_and_nothing_of_comments_and_texts() {
        let source = "a /* { /* } */ { */ b\n// }\nlet c = \"}\\\"{\n\"; r#\"\"}\"# d";
        let blanked = Code::new(source);
        assert_eq!(blanked.text().lines().count(), source.lines().count());
        let words: Vec<_> = blanked.words().map(|(_, word)| word).collect();
        assert_eq!(words, ["a", "b", "let", "c", "d"]);
        assert!(!blanked.text().contains(['{', '}', '"']), "{}", blanked.text());
    }

    #[test]
    fn life_times_are_no_character_literals() {
        let code =
            Code::new("fn f<'a>(x: &'a str) -> char { match '{' { '\\'' => '}', _ => 'x' } }");
        let braces = code.text().matches(['{', '}']).count();
        assert_eq!(braces, 4, "{}", code.text());
    }

    #[test]
    fn raw_texts_end_at_their_own_hashes() {
        let code = Code::new("let a = br##\"{\"# {\"##; { let r = for_r\"}\"; }");
        assert_eq!(code.text().matches('{').count(), 1);
        assert_eq!(code.text().matches('}').count(), 1);
    }

    #[test]
    fn a_function_reaches_from_its_fn_to_its_closing_brace() {
        let source = "#[inline]\npub fn one(a: [u8; 4])\nwhere\n    T: X,\n{\n    fn two() {}\n}\n";
        assert_eq!(functions(source), [named("one", 2, 6), named("two", 6, 1)]);
    }

    #[test]
    fn declarations_and_function_types_are_no_functions() {
        let source = "trait T { fn a(&self) -> [u8; 2]; fn b(&self) {} }\ntype F = fn(u8) -> u8;";
        assert_eq!(functions(source), [named("b", 1, 1)]);
    }

    #[test]
    fn a_file_that_ends_within_a_function_ends_it() {
        assert_eq!(functions("fn a() {\n  {\n"), [named("a", 1, 2)]);
        assert_eq!(functions("fn a() { \"never closed\n}"), [named("a", 1, 2)]);
    }

    #[test]
    fn test_modules_are_found_with_their_bodies_and_as_files() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\n#[cfg(test)]\nmod other;\n\
                      #[cfg(test)]\nuse x;\nmod real {}\n";
        let modules = Code::new(source).test_modules();
        assert_eq!(modules, TestModules { inline: vec![(2, 5)], files: vec!["other".to_owned()] });
    }
}

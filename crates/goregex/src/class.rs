//! Sets of characters: what a bracket class, a perl class or `.` stands for.
//!
//! Invariant: the perl and POSIX classes are ASCII, as in Go; only `\p` and written characters reach beyond.

/// U+FFFD, as which an invalid byte acts.
pub(crate) const REPLACEMENT: char = '\u{FFFD}';

const DIGIT: &[(char, char)] = &[('0', '9')];
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

const POSIX: &[(&str, &[(char, char)])] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7F')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1F'), ('\x7F', '\x7F')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// Names of the Unicode classes that hold U+FFFD.
const REPLACEMENT_CLASSES: &[&str] = &["Any", "Common", "S", "So"];

/// A member of a class.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// The characters from the first to the second.
    Range(char, char),
    /// A named ASCII set, or all characters outside of it.
    Ascii { ranges: &'static [(char, char)], negated: bool },
    /// A Unicode category or script, checked to exist.
    Unicode { name: String, negated: bool },
}

/// A set of characters; `fold`: closed under simple case folding before `negated` applies.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) items: Vec<Item>,
    pub(crate) negated: bool,
    pub(crate) fold: bool,
}

impl Class {
    /// `.`, with or without the newline.
    pub(crate) fn dot(newline: bool) -> Self {
        let items = if newline {
            vec![Item::Range('\0', char::MAX)]
        } else {
            vec![Item::Range('\n', '\n')]
        };
        Self { items, negated: !newline, fold: false }
    }

    /// True if an invalid byte is a member.
    pub(crate) fn has_replacement(&self) -> bool {
        self.items.iter().any(Item::has_replacement) != self.negated
    }

    /// True if all characters beyond ASCII are members.
    pub(crate) fn has_all_beyond_ascii(&self) -> bool {
        if self.negated {
            self.items.iter().all(|item| !item.reaches_beyond_ascii(self.fold))
        } else {
            self.items.iter().any(|item| item.has_all_beyond_ascii(self.fold))
        }
    }

    /// True if it can be written as a class of bytes.
    pub(crate) fn is_writable_as_bytes(&self) -> bool {
        if let [Item::Range('\0', char::MAX)] = self.items.as_slice() {
            return true;
        }
        self.items.iter().all(|item| match item {
            Item::Range(_, high) => high.is_ascii(),
            Item::Ascii { .. } => true,
            Item::Unicode { .. } => false,
        })
    }
}

impl Item {
    fn has_replacement(&self) -> bool {
        match self {
            Self::Range(low, high) => (*low..=*high).contains(&REPLACEMENT),
            Self::Ascii { negated, .. } => *negated,
            Self::Unicode { name, negated } => {
                REPLACEMENT_CLASSES.contains(&name.as_str()) != *negated
            }
        }
    }

    fn has_all_beyond_ascii(&self, fold: bool) -> bool {
        match self {
            Self::Range(low, high) => low.is_ascii() && *high == char::MAX,
            Self::Ascii { ranges, negated } => *negated && !(fold && folds_out(ranges)),
            Self::Unicode { .. } => false,
        }
    }

    fn reaches_beyond_ascii(&self, fold: bool) -> bool {
        match self {
            Self::Range(low, high) => !high.is_ascii() || fold && folds_out(&[(*low, *high)]),
            Self::Ascii { ranges, negated } => *negated || fold && folds_out(ranges),
            Self::Unicode { .. } => true,
        }
    }
}

/// True if folding adds characters beyond ASCII: `k` and `s` have the Kelvin sign and the long s for partners.
fn folds_out(ranges: &[(char, char)]) -> bool {
    "ksKS".chars().any(|c| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)))
}

/// The set of a perl class letter (`d`, `S`, ..), if it is one.
pub(crate) fn perl(letter: char) -> Option<Item> {
    let ranges = match letter.to_ascii_lowercase() {
        'd' => DIGIT,
        's' => SPACE,
        'w' => WORD,
        _ => return None,
    };
    Some(Item::Ascii { ranges, negated: letter.is_ascii_uppercase() })
}

/// The set of a POSIX class name such as `alpha` or `^alpha`, if it is one.
pub(crate) fn posix(name: &str) -> Option<Item> {
    let (name, negated) = match name.strip_prefix('^') {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let (_, ranges) = POSIX.iter().find(|(known, _)| *known == name)?;
    Some(Item::Ascii { ranges, negated })
}

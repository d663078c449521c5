//! The nearest valid name for a mistyped one. Not here: how it is shown (`problem`).

/// Names longer than this are not compared: the cost is quadratic in the length.
const MAX_NAME_CHARS: usize = 64;

/// Returns the candidate that `name` most likely was meant to be, if one is close enough.
///
/// Compares without regard to case. At most a third of the name may differ, a swap of two
/// neighbours counting once. Among equally near candidates the first wins.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME_CHARS {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::osa_distance(&name, &candidate.to_lowercase());
        let longest = length.max(candidate.chars().count());
        let near = distance <= (longest / 3).max(1) && distance < longest;
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_mistyped_name_finds_its_neighbour() {
        let keys = ["address", "decoder", "splitter", "tls"];
        assert_eq!(nearest("adress", keys), Some("address"));
        assert_eq!(nearest("spiltter", keys), Some("splitter"));
        assert_eq!(nearest("DECODR", keys), Some("decoder"));
        assert_eq!(nearest("tsl", keys), Some("tls"));
    }

    #[test]
    fn a_name_that_is_near_nothing_finds_nothing() {
        let keys = ["address", "decoder", "a"];
        assert_eq!(nearest("payload", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest("b", keys), None);
        assert_eq!(nearest(&"a".repeat(10_000), keys), None);
    }
}

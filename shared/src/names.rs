//! Finding the name that somebody probably meant.

/// The nearest candidate, when one is near enough to suggest.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    candidates
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 2.max(name.chars().count() / 3) && *distance < name.chars().count().max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_corrected_and_nonsense_is_not() {
        assert_eq!(nearest("kia", ["leo", "kai"]), Some("kai"));
        assert_eq!(nearest("prot", ["port", "host"]), Some("port"));
        assert_eq!(nearest("zzzzzz", ["leo", "kai"]), None);
    }
}

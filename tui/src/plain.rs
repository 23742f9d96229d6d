//! The control centre without a screen: lines of text, for terminals that cannot do more and for people who read with their ears.

use crate::runtime::Options;

/// Runs until the person leaves.
///
/// # Errors
/// When input or output fails.
pub(crate) fn run(_options: &Options) -> std::io::Result<()> {
    Err(std::io::Error::other("the control centre needs a terminal: start it in one"))
}

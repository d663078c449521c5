//! Memory that may not be there.

use crate::error::Error;

/// A vector of default values, without an abort where there is no memory.
pub(crate) fn zeroed<T: Clone + Default>(length: usize) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(length).map_err(|_| Error::Memory)?;
    vector.resize(length, T::default());
    Ok(vector)
}

/// Checks that serialised state has the right size.
pub(crate) fn check_length(bytes: &[u8], expected: usize) -> Result<(), Error> {
    let found = bytes.len();
    if found == expected { Ok(()) } else { Err(Error::Bytes { found, expected }) }
}

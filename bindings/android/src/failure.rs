//! Errors and panics as Java exceptions.

use std::any::Any;

use jni::errors::ErrorPolicy;
use jni::strings::{JNIStr, JNIString};
use jni::{Env, EnvUnowned, jni_str};
use picodet::{Error, RawError};

/// The reason why a call fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An argument is out of its range.
    #[error("`{name}` is {value}; expected {expected}")]
    Argument { name: &'static str, value: String, expected: &'static str },
    /// The pixels do not fit the size.
    #[error(transparent)]
    Pixels(#[from] RawError),
    /// The library refuses the model, an option or the image.
    #[error(transparent)]
    Detect(#[from] Error),
    /// The virtual machine refuses a call.
    #[error("{0}")]
    Java(#[from] jni::errors::Error),
}

impl Failure {
    /// Returns the error of an argument.
    pub(crate) fn argument(name: &'static str, value: impl ToString, expected: &'static str) -> Self {
        Self::Argument { name, value: value.to_string(), expected }
    }

    /// Returns the class of the exception.
    fn class(&self) -> &'static JNIStr {
        match self {
            Self::Pixels(RawError::Memory { .. }) => jni_str!("java/lang/OutOfMemoryError"),
            Self::Argument { .. } | Self::Pixels(_) | Self::Detect(Error::Option(_)) => {
                jni_str!("java/lang/IllegalArgumentException")
            }
            Self::Detect(Error::Model(_) | Error::Metadata(_) | Error::Plan(_)) => {
                jni_str!("dev/picodet/ModelException")
            }
            Self::Detect(Error::Decode(_) | Error::DecodeFile { .. } | Error::Run(_)) => {
                jni_str!("dev/picodet/ImageException")
            }
            Self::Detect(_) | Self::Java(_) => jni_str!("dev/picodet/PicodetException"),
        }
    }
}

/// Runs the body of an entry point; after an error or a panic an exception is pending and the result is the default.
pub(crate) fn guarded<'local, T: Default>(
    mut env: EnvUnowned<'local>,
    body: impl FnOnce(&mut Env<'local>) -> Result<T, Failure>,
) -> T {
    env.with_env(body).resolve::<Throw>()
}

/// Throws the exception of a failure or a panic.
struct Throw;

impl<T: Default> ErrorPolicy<T, Failure> for Throw {
    type Captures<'unowned_env_local: 'native_method, 'native_method> = ();

    fn on_error<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        _: &mut Self::Captures<'unowned_env_local, 'native_method>,
        failure: Failure,
    ) -> jni::errors::Result<T> {
        if !env.exception_check() {
            throw(env, failure.class(), &failure.to_string());
        }
        Ok(T::default())
    }

    fn on_panic<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        _: &mut Self::Captures<'unowned_env_local, 'native_method>,
        payload: Box<dyn Any + Send>,
    ) -> jni::errors::Result<T> {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic");
        let message = format!("internal error: {text}; please report it");
        // A payload may panic when it is dropped.
        std::mem::forget(payload);
        if !env.exception_check() {
            throw(env, jni_str!("dev/picodet/PicodetException"), &message);
        }
        Ok(T::default())
    }
}

fn throw(env: &mut Env<'_>, class: &'static JNIStr, message: &str) {
    // The call returns an error because an exception is pending then, which is the aim.
    let _ = env.throw_new(class, JNIString::new(message));
}

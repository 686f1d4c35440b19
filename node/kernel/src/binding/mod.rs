//! The Python surface: reads buffers, releases the GIL, turns misuse into `ValueError`. No mathematics.

mod functions;
mod handles;
mod shares;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use zeroize::Zeroizing;

use crate::error::Misuse;

impl From<Misuse> for PyErr {
    fn from(misuse: Misuse) -> Self {
        PyValueError::new_err(misuse.0)
    }
}

/// The bytes of a buffer; copied, because another thread may write to it while the GIL is released.
fn bytes_of(py: Python<'_>, buffer: &PyBuffer<u8>) -> PyResult<Zeroizing<Vec<u8>>> {
    Ok(Zeroizing::new(buffer.to_vec(py)?))
}

/// Adds what every handle has: redacted text, no comparison, no hash, no copy, no pickle.
#[macro_export]
macro_rules! opaque {
    ($handle:ident) => {
        #[pymethods]
        impl $handle {
            fn __repr__(&self) -> &'static str {
                concat!("<", stringify!($handle), " redacted>")
            }
            fn __richcmp__(&self, _other: &Bound<'_, PyAny>, _operation: pyo3::pyclass::CompareOp) -> PyResult<bool> {
                Err($crate::binding::refuse("compare"))
            }
            fn __hash__(&self) -> PyResult<isize> {
                Err($crate::binding::refuse("hash"))
            }
            // The door of pickle and of the copy module.
            fn __reduce_ex__(&self, _protocol: i32) -> PyResult<()> {
                Err($crate::binding::refuse("copy or pickle"))
            }
        }
    };
}

fn refuse(what: &str) -> PyErr {
    pyo3::exceptions::PyTypeError::new_err(format!("do not {what} a handle of secrets"))
}

#[pymodule]
fn _kernel(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<handles::Secret>()?;
    module.add_class::<handles::Contributions>()?;
    module.add_class::<handles::Keys>()?;
    module.add_class::<shares::Shares>()?;
    module.add_class::<functions::Spectrum>()?;
    functions::register(module)
}

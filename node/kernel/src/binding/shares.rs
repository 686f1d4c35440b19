//! The handle `Shares`.

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};

use super::bytes_of;
use super::handles::Secret;
use crate::error::Misuse;
use crate::vector::{Stored, Vector};
use crate::{for_k, offline, opaque};

#[pyclass(frozen, module = "dkg_kernel")]
pub struct Shares(pub Vector);

opaque!(Shares);

#[pymethods]
impl Shares {
    #[getter]
    fn k(&self) -> u32 {
        self.0.k()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[staticmethod]
    fn zeros(k: u32, count: usize) -> PyResult<Self> {
        Ok(Self(Vector::zeros(k, count)?))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn from_wire(py: Python<'_>, k: u32, data: PyBuffer<u8>) -> PyResult<Self> {
        let data = bytes_of(py, &data)?;
        Ok(Self(py.detach(|| Vector::from_wire(k, &data))?))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)] // a sequence of Python objects arrives owned
    fn concat(py: Python<'_>, parts: Vec<Py<Self>>) -> PyResult<Self> {
        let parts: Vec<&Vector> = parts.iter().map(|part| &part.get().0).collect();
        Ok(Self(py.detach(|| Vector::concat(&parts))?))
    }

    fn slice(&self, py: Python<'_>, start: usize, stop: usize) -> PyResult<Self> {
        Ok(Self(py.detach(|| self.0.slice(start, stop))?))
    }

    fn add(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        Ok(Self(py.detach(|| self.0.combine(&other.0, false))?))
    }

    fn sub(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        Ok(Self(py.detach(|| self.0.combine(&other.0, true))?))
    }

    fn scale(&self, py: Python<'_>, factor: &Bound<'_, PyInt>) -> PyResult<Self> {
        let factor: u128 = factor.call_method1("__and__", (u128::MAX,))?.extract()?;
        Ok(Self(py.detach(|| self.0.scale(factor))?))
    }

    fn pack(&self, py: Python<'_>) -> PyResult<Self> {
        let pack = || for_k!(self.0.k(), W => offline::pack(W::of(&self.0)?).map(W::wrap));
        Ok(Self(py.detach(pack)?))
    }

    fn reduce64(&self, py: Python<'_>) -> Self {
        Self(py.detach(|| self.0.reduce64()))
    }

    fn to_wire<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let wire = py.detach(|| self.0.to_wire());
        PyBytes::new(py, &wire)
    }

    fn sealed<'py>(&self, py: Python<'py>, key: &Secret, aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let blob = py.detach(|| self.0.sealed(&key.0, aad))?;
        Ok(PyBytes::new(py, &blob))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn unsealed(py: Python<'_>, key: &Secret, aad: &[u8], blob: PyBuffer<u8>) -> PyResult<Self> {
        let blob = bytes_of(py, &blob)?;
        Ok(Self(py.detach(|| Vector::unsealed(&key.0, aad, &blob))?))
    }
}

/// Refuse two vectors of different K.
///
/// # Errors
/// `Misuse` when K differs.
pub fn same_k(first: &Shares, others: &[&Shares]) -> Result<u32, Misuse> {
    match others.iter().find(|other| other.0.k() != first.0.k()) {
        Some(other) => Err(Misuse(format!("give shares of one K, not {} and {}", first.0.k(), other.0.k()))),
        None => Ok(first.0.k()),
    }
}

//! Handles of keys: `Secret`, `Contributions`, `Keys`.

use std::collections::BTreeMap;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zeroize::Zeroizing;

use super::bytes_of;
use crate::encoding::kdf;
use crate::error::Misuse;
use crate::opaque;
use crate::prss::KeySet;
use crate::seal::{Kind, random, seal, unseal};
use crate::sets::Shape;
use crate::setup;

#[pyclass(frozen, module = "dkg_kernel")]
pub struct Secret(pub Zeroizing<[u8; 32]>);

impl Secret {
    fn take(bytes: &[u8]) -> PyResult<Self> {
        let mut secret = Zeroizing::new([0u8; 32]);
        if bytes.len() != 32 {
            return Err(Misuse(format!("give a secret of 32 bytes, not {}", bytes.len())).into());
        }
        secret.copy_from_slice(bytes);
        Ok(Self(secret))
    }
}

opaque!(Secret);

#[pymethods]
impl Secret {
    #[staticmethod]
    fn random() -> PyResult<Self> {
        Ok(Self(random()?))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)] // pyo3 hands buffers over
    fn from_bytes(py: Python<'_>, data: PyBuffer<u8>) -> PyResult<Self> {
        Self::take(&bytes_of(py, &data)?)
    }

    fn derive(&self, label: &[u8]) -> Self {
        Self(kdf(&self.0, label))
    }

    fn sealed<'py>(&self, py: Python<'py>, key: &Self, aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &seal(&key.0, Kind::Secret, aad, &self.0[..])?))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn unsealed(py: Python<'_>, key: &Self, aad: &[u8], blob: PyBuffer<u8>) -> PyResult<Self> {
        Self::take(&unseal(&key.0, Kind::Secret, aad, &bytes_of(py, &blob)?)?)
    }
}

/// Keeps the GIL throughout: its calls take milliseconds, and another thread could find it borrowed.
#[pyclass(module = "dkg_kernel")]
pub struct Contributions(setup::Contributions);

opaque!(Contributions);

#[pymethods]
impl Contributions {
    #[new]
    fn new(n: usize, t: usize, party: usize, seed: &Secret) -> PyResult<Self> {
        Ok(Self(setup::Contributions::new(Shape::new(n, t)?, party, &seed.0)?))
    }

    #[staticmethod]
    fn empty(n: usize, t: usize, party: usize) -> PyResult<Self> {
        Ok(Self(setup::Contributions::empty(Shape::new(n, t)?, party)?))
    }

    fn message_for<'py>(&self, py: Python<'py>, peer: usize) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.message_for(peer)?))
    }

    #[allow(clippy::needless_pass_by_value)]
    fn receive(&mut self, py: Python<'_>, peer: usize, message: PyBuffer<u8>) -> PyResult<bool> {
        Ok(self.0.receive(peer, &bytes_of(py, &message)?)?)
    }

    fn digests<'py>(&self, py: Python<'py>, sid: &[u8]) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.digests(sid))
    }

    fn rho<'py>(&self, py: Python<'py>, mask: i64, contributor: i64) -> Option<Bound<'py, PyBytes>> {
        let (mask, contributor) = place(mask, contributor)?;
        self.0.rho(mask, contributor).map(|rho| PyBytes::new(py, rho))
    }

    #[allow(clippy::needless_pass_by_value)]
    fn fill(
        &mut self,
        py: Python<'_>,
        sid: &[u8],
        mask: i64,
        contributor: i64,
        rho: PyBuffer<u8>,
        digest: &[u8],
    ) -> PyResult<bool> {
        let rho = bytes_of(py, &rho)?;
        let place = place(mask, contributor);
        Ok(place.is_some_and(|(mask, contributor)| self.0.fill(sid, mask, contributor, &rho, digest)))
    }

    fn keys(&self, sid: &[u8], era: u64, counted: &Bound<'_, PyAny>) -> PyResult<Keys> {
        let mut table = BTreeMap::new();
        for item in counted.call_method0("items")?.try_iter()? {
            let (mask, contributors): (u16, Vec<usize>) = item?.extract()?;
            table.insert(mask, contributors);
        }
        Ok(Keys(self.0.keys(sid, era, &table)?))
    }

    fn sealed<'py>(&self, py: Python<'py>, key: &Secret, aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let (shape, party) = (self.0.shape(), self.0.party());
        let kind = Kind::Contributions(shape.n, shape.t, party);
        Ok(PyBytes::new(py, &seal(&key.0, kind, aad, &self.0.to_bytes())?))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn unsealed(
        py: Python<'_>,
        n: usize,
        t: usize,
        party: usize,
        key: &Secret,
        aad: &[u8],
        blob: PyBuffer<u8>,
    ) -> PyResult<Self> {
        let content = unseal(&key.0, Kind::Contributions(n, t, party), aad, &bytes_of(py, &blob)?)?;
        Ok(Self(setup::Contributions::from_bytes(Shape::new(n, t)?, party, &content)?))
    }
}

/// A set and a contributor that a peer may have named.
fn place(mask: i64, contributor: i64) -> Option<(u16, usize)> {
    Some((mask.try_into().ok()?, contributor.try_into().ok()?))
}

#[pyclass(frozen, module = "dkg_kernel")]
pub struct Keys(pub KeySet);

opaque!(Keys);

#[pymethods]
impl Keys {
    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn from_bytes(py: Python<'_>, n: usize, t: usize, party: usize, data: PyBuffer<u8>) -> PyResult<Self> {
        Ok(Self(KeySet::new(Shape::new(n, t)?, party, &bytes_of(py, &data)?)?))
    }

    #[getter]
    fn n(&self) -> usize {
        self.0.shape.n
    }

    #[getter]
    fn t(&self) -> usize {
        self.0.shape.t
    }

    #[getter]
    fn party(&self) -> usize {
        self.0.party
    }

    fn derive(&self, py: Python<'_>, label: &[u8]) -> Self {
        Self(py.detach(|| self.0.derive(label)))
    }

    fn reveal<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    fn sealed<'py>(&self, py: Python<'py>, key: &Secret, aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let kind = Kind::Keys(self.0.shape.n, self.0.shape.t, self.0.party);
        Ok(PyBytes::new(py, &seal(&key.0, kind, aad, &self.0.to_bytes())?))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn unsealed(
        py: Python<'_>,
        n: usize,
        t: usize,
        party: usize,
        key: &Secret,
        aad: &[u8],
        blob: PyBuffer<u8>,
    ) -> PyResult<Self> {
        let content = unseal(&key.0, Kind::Keys(n, t, party), aad, &bytes_of(py, &blob)?)?;
        Ok(Self(KeySet::new(Shape::new(n, t)?, party, &content)?))
    }
}

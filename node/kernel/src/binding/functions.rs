//! The functions of the kernel, and the handle `Spectrum`.

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zeroize::Zeroizing;

use super::bytes_of;
use super::handles::Keys;
use super::shares::{Shares, same_k};
use crate::error::{Misuse, Result};
use crate::king::Opening;
use crate::opening::Given;
use crate::sets::{Shape, constants_of};
use crate::trim::Trim;
use crate::vector::Stored;
use crate::{check, for_k, king, mask, ntt, offline, opaque, opening};

type Constants = Vec<(u16, (i16, i16, i16, i16))>;
type MaybeOpened<'py> = PyResult<Option<(Bound<'py, PyBytes>, u16)>>;

#[pyfunction]
fn prss(py: Python<'_>, keys: &Keys, label: &[u8], k: u32, start: u64, count: usize) -> PyResult<Shares> {
    let make = || for_k!(k, W => crate::prss::prss::<W>(&keys.0, label, start, count).map(Zeroizing::new).map(W::wrap));
    Ok(Shares(py.detach(make)?))
}

#[pyfunction]
fn przs(py: Python<'_>, keys: &Keys, label: &[u8], k: u32, count: usize) -> PyResult<Shares> {
    let make = || for_k!(k, W => Ok(W::wrap(Zeroizing::new(crate::prss::przs(&keys.0, label, count)))));
    Ok(Shares(py.detach(make)?))
}

#[pyfunction]
fn prss_constants(n: usize, t: usize, party: usize) -> PyResult<Constants> {
    let shape = Shape::new(n, t)?;
    shape.check_party(party)?;
    let entries = constants_of(shape, party).into_iter();
    Ok(entries.map(|(mask, [a, b, c, d])| (mask, (a, b, c, d))).collect())
}

#[pyfunction]
fn square_plus(py: Python<'_>, a: &Shares) -> PyResult<Shares> {
    let make = || for_k!(a.0.k(), W => offline::square_plus(W::of(&a.0)?).map(W::wrap));
    Ok(Shares(py.detach(make)?))
}

#[pyfunction]
fn products(py: Python<'_>, x: &Shares, y: &Shares, v: &Shares) -> PyResult<Shares> {
    let k = same_k(x, &[y, v])?;
    let make = || for_k!(k, W => offline::products(W::of(&x.0)?, W::of(&y.0)?, W::of(&v.0)?).map(W::wrap));
    Ok(Shares(py.detach(make)?))
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value, clippy::too_many_arguments)] // the signature of the protocol's step
fn king_share<'py>(
    py: Python<'py>,
    s: &Shares,
    keys: &Keys,
    senders: u16,
    king: usize,
    attempt: u64,
    weights: Vec<u32>,
) -> PyResult<Bound<'py, PyBytes>> {
    let opening = Opening { senders, king, attempt };
    let make = || {
        for_k!(s.0.k(), W => {
            let trim = Trim::new::<W>(&weights, false)?;
            king::king_share(W::of(&s.0)?, &keys.0, opening, &trim)
        })
    };
    let message = py.detach(make)?;
    Ok(PyBytes::new(py, &message))
}

#[pyfunction]
#[pyo3(signature = (message, k, count, weights, *, bits))]
#[allow(clippy::needless_pass_by_value)]
fn canonical(
    py: Python<'_>,
    message: PyBuffer<u8>,
    k: u32,
    count: usize,
    weights: Vec<u32>,
    bits: bool,
) -> PyResult<bool> {
    let message = bytes_of(py, &message)?;
    let test = || for_k!(k, W => Ok(Trim::new::<W>(&weights, bits)?.canonical::<W>(&message, count)));
    Ok(py.detach(test)?)
}

#[pyfunction]
#[pyo3(signature = (messages, k, count, weights, *, bits))]
#[allow(clippy::needless_pass_by_value)]
fn king_sum(
    py: Python<'_>,
    messages: Vec<PyBuffer<u8>>,
    k: u32,
    count: usize,
    weights: Vec<u32>,
    bits: bool,
) -> PyResult<Option<Bound<'_, PyBytes>>> {
    let messages = messages.iter().map(|message| message.to_vec(py)).collect::<PyResult<Vec<Vec<u8>>>>()?;
    let sum = py.detach(|| for_k!(k, W => king::king_sum::<W>(&messages, count, &weights, bits)))?;
    Ok(sum.map(|sum| PyBytes::new(py, &sum)))
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
fn bits_from_openings(py: Python<'_>, a: &Shares, v: PyBuffer<u8>, weights: Vec<u32>) -> PyResult<Option<Shares>> {
    let v = bytes_of(py, &v)?;
    let make = || {
        for_k!(a.0.k(), W => {
            let trim = Trim::new::<W>(&weights, true)?;
            Ok(offline::bits_from_openings(W::of(&a.0)?, &v, &trim)?.map(W::wrap))
        })
    };
    Ok(py.detach(make)?.map(Shares))
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
fn noise_from_openings(
    py: Python<'_>,
    a: &Shares,
    v: PyBuffer<u8>,
    weights: Vec<u32>,
    width: u32,
) -> PyResult<Option<Shares>> {
    let v = bytes_of(py, &v)?;
    let make = || {
        for_k!(a.0.k(), W => {
            let trim = Trim::new::<W>(&weights, true)?;
            Ok(offline::noise_from_openings(W::of(&a.0)?, &v, &trim, width)?.map(W::wrap))
        })
    };
    Ok(py.detach(make)?.map(Shares))
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
fn products_from_openings(py: Python<'_>, d: PyBuffer<u8>, v: &Shares) -> PyResult<Option<Shares>> {
    let d = bytes_of(py, &d)?;
    let make = || for_k!(v.0.k(), W => Ok(offline::products_from_openings(&d, W::of(&v.0)?).map(W::wrap)));
    Ok(py.detach(make)?.map(Shares))
}

#[pyfunction]
#[pyo3(signature = (s, v, chi_key, digits, weights, *, bits))]
#[allow(clippy::needless_pass_by_value, clippy::too_many_arguments)]
fn check_shares(
    py: Python<'_>,
    s: &Shares,
    v: PyBuffer<u8>,
    chi_key: &[u8],
    digits: usize,
    weights: Vec<u32>,
    bits: bool,
) -> PyResult<Option<Shares>> {
    let v = bytes_of(py, &v)?;
    let make = || {
        for_k!(s.0.k(), W => {
            let trim = Trim::new::<W>(&weights, bits)?;
            Ok(check::check_shares(W::of(&s.0)?, &v, chi_key, digits, &trim)?.map(W::wrap))
        })
    };
    Ok(py.detach(make)?.map(Shares))
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
fn beaver(
    py: Python<'_>,
    p: &Shares,
    x: &Shares,
    y: &Shares,
    eps: PyBuffer<u8>,
    delta: PyBuffer<u8>,
) -> PyResult<Shares> {
    let k = same_k(p, &[x, y])?;
    let (eps, delta) = (bytes_of(py, &eps)?, bytes_of(py, &delta)?);
    let make = || for_k!(k, W => offline::beaver(W::of(&p.0)?, W::of(&x.0)?, W::of(&y.0)?, &eps, &delta).map(W::wrap));
    Ok(Shares(py.detach(make)?))
}

#[pyclass(frozen, module = "dkg_kernel")]
pub struct Spectrum {
    k: u32,
    inner: ntt::Spectrum,
}

opaque!(Spectrum);

#[pymethods]
impl Spectrum {
    #[new]
    fn new(py: Python<'_>, poly: &Shares) -> PyResult<Self> {
        let k = poly.0.k();
        let make = || for_k!(k, W => ntt::Spectrum::new::<W>(W::of(&poly.0)?));
        Ok(Self { k, inner: py.detach(make)? })
    }

    #[getter]
    fn n(&self) -> usize {
        self.inner.n()
    }

    #[getter]
    fn k(&self) -> u32 {
        self.k
    }
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
fn negacyclic(py: Python<'_>, masks: PyBuffer<u8>, polys: Vec<Py<Spectrum>>) -> PyResult<Shares> {
    let masks = bytes_of(py, &masks)?;
    let k = polys.first().map_or(64, |poly| poly.get().k);
    if polys.iter().any(|poly| poly.get().k != k) {
        return Err(Misuse::new("give polynomials of one K").into());
    }
    let inner: Vec<&ntt::Spectrum> = polys.iter().map(|poly| &poly.get().inner).collect();
    Ok(Shares(py.detach(|| for_k!(k, W => ntt::negacyclic::<W>(&masks, &inner).map(W::wrap)))?))
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
fn inner(py: Python<'_>, masks: PyBuffer<u8>, s: &Shares) -> PyResult<Shares> {
    let masks = bytes_of(py, &masks)?;
    let make = || for_k!(s.0.k(), W => ntt::inner(&masks, W::of(&s.0)?).map(W::wrap));
    Ok(Shares(py.detach(make)?))
}

#[pyfunction]
fn mask_stream<'py>(py: Python<'py>, seed: &[u8], offset: u64, length: usize) -> PyResult<Bound<'py, PyBytes>> {
    let stream = py.detach(|| mask::mask_stream(seed, offset, length))?;
    Ok(PyBytes::new(py, &stream))
}

/// Shares by party out of a mapping.
fn by_party(py: Python<'_>, shares: &Bound<'_, PyAny>) -> PyResult<Vec<(usize, Vec<u8>)>> {
    let items = shares.call_method0("items")?;
    let item = |item: PyResult<Bound<'_, PyAny>>| {
        let (party, buffer): (usize, PyBuffer<u8>) = item?.extract()?;
        Ok((party, buffer.to_vec(py)?))
    };
    items.try_iter()?.map(item).collect()
}

#[pyfunction]
fn robust_open<'py>(py: Python<'py>, n: usize, t: usize, k: u32, shares: &Bound<'py, PyAny>) -> MaybeOpened<'py> {
    let shape = Shape::new(n, t)?;
    let given = by_party(py, shares)?;
    let open = || -> Result<Option<(Vec<u8>, u16)>> {
        for_k!(k, W => {
            let Some(given) = Given::<W>::read(&given) else { return Ok(None) };
            let opened = opening::robust_open(shape, &given)?;
            Ok(opened.map(|(secrets, wrong)| (crate::ring::write_all(&secrets), wrong)))
        })
    };
    Ok(py.detach(open)?.map(|(secrets, wrong)| (PyBytes::new(py, &secrets), wrong)))
}

#[pyfunction]
fn lies_on(py: Python<'_>, n: usize, degree: usize, k: u32, shares: &Bound<'_, PyAny>) -> PyResult<bool> {
    let given = by_party(py, shares)?;
    if let Some((party, _)) = given.iter().find(|(party, _)| *party == 0 || *party > n.min(15)) {
        return Err(Misuse(format!("name parties of 1..{n}, not {party}")).into());
    }
    let test = || for_k!(k, W => Given::<W>::read(&given).map_or(Ok(false), |given| opening::lies_on(degree, &given)));
    Ok(py.detach(test)?)
}

/// Adds every function to the module.
///
/// # Errors
/// Those of Python.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(prss, module)?)?;
    module.add_function(wrap_pyfunction!(przs, module)?)?;
    module.add_function(wrap_pyfunction!(prss_constants, module)?)?;
    module.add_function(wrap_pyfunction!(square_plus, module)?)?;
    module.add_function(wrap_pyfunction!(products, module)?)?;
    module.add_function(wrap_pyfunction!(king_share, module)?)?;
    module.add_function(wrap_pyfunction!(canonical, module)?)?;
    module.add_function(wrap_pyfunction!(king_sum, module)?)?;
    module.add_function(wrap_pyfunction!(bits_from_openings, module)?)?;
    module.add_function(wrap_pyfunction!(noise_from_openings, module)?)?;
    module.add_function(wrap_pyfunction!(products_from_openings, module)?)?;
    module.add_function(wrap_pyfunction!(check_shares, module)?)?;
    module.add_function(wrap_pyfunction!(beaver, module)?)?;
    module.add_function(wrap_pyfunction!(negacyclic, module)?)?;
    module.add_function(wrap_pyfunction!(inner, module)?)?;
    module.add_function(wrap_pyfunction!(mask_stream, module)?)?;
    module.add_function(wrap_pyfunction!(robust_open, module)?)?;
    module.add_function(wrap_pyfunction!(lies_on, module)?)?;
    Ok(())
}

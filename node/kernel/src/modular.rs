//! Arithmetic modulo 62-bit primes, free of branches and divisions on secret values.

/// A prime p = 1 mod 8192 with 2^61 < p < 2^62, and its constants.
#[derive(Clone, Copy, Debug)]
pub struct Prime {
    /// p.
    pub p: u64,
    /// -p^-1 mod 2^64.
    negative_inverse: u64,
    /// 2^128 mod p.
    square: u64,
    /// floor(2^64 / p).
    one_quotient: u64,
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // meant: the high word
fn high(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// A public factor w with floor(w 2^64 / p) (Shoup).
#[derive(Clone, Copy, Debug, Default)]
pub struct Factor {
    /// w < p.
    pub value: u64,
    quotient: u64,
}

impl Prime {
    /// Constants of p.
    #[allow(clippy::cast_possible_truncation)] // remainders of p, quotients below 8
    pub const fn new(p: u64) -> Self {
        let mut inverse = p;
        let mut step = 0;
        while step < 5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(p.wrapping_mul(inverse)));
            step += 1;
        }
        let r = (1u128 << 64) % p as u128;
        Self {
            p,
            negative_inverse: inverse.wrapping_neg(),
            square: (r * r % p as u128) as u64,
            one_quotient: ((1u128 << 64) / p as u128) as u64,
        }
    }

    /// Public factor w.
    #[allow(clippy::cast_possible_truncation)] // w < p
    pub fn factor(&self, value: u64) -> Factor {
        Factor { value, quotient: ((u128::from(value) << 64) / u128::from(self.p)) as u64 }
    }

    /// x w mod p in [0, 2p) for every 64-bit x.
    #[inline(always)]
    pub fn times_lazy(&self, x: u64, w: Factor) -> u64 {
        let quotient = high(x, w.quotient);
        x.wrapping_mul(w.value).wrapping_sub(quotient.wrapping_mul(self.p))
    }

    /// x - p if x >= p.
    #[inline(always)]
    pub fn once(&self, x: u64) -> u64 {
        x.min(x.wrapping_sub(self.p))
    }

    /// x - 2p if x >= 2p.
    #[inline(always)]
    pub fn twice(&self, x: u64) -> u64 {
        x.min(x.wrapping_sub(2 * self.p))
    }

    /// x w mod p.
    #[inline(always)]
    pub fn times(&self, x: u64, w: Factor) -> u64 {
        self.once(self.times_lazy(x, w))
    }

    /// x mod p for every 64-bit x.
    #[inline(always)]
    pub fn reduce(&self, x: u64) -> u64 {
        self.once(self.times_lazy(x, Factor { value: 1, quotient: self.one_quotient }))
    }

    /// a b / 2^64 mod p in [0, 2p) for a b < 2^64 p (Montgomery).
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // meant: low and high words
    pub fn montgomery(&self, a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        let m = (product as u64).wrapping_mul(self.negative_inverse);
        ((product + u128::from(m) * u128::from(self.p)) >> 64) as u64
    }

    /// x 2^64 mod p.
    #[inline(always)]
    pub fn into_montgomery(&self, x: u64) -> u64 {
        self.once(self.montgomery(x, self.square))
    }

    /// base^exponent mod p, all public.
    #[allow(clippy::cast_possible_truncation)] // below p
    pub fn power(&self, base: u64, mut exponent: u64) -> u64 {
        let (mut result, mut square) = (1u64, base % self.p);
        let product = |a: u64, b: u64| (u128::from(a) * u128::from(b) % u128::from(self.p)) as u64;
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = product(result, square);
            }
            square = product(square, square);
            exponent >>= 1;
        }
        result
    }

    /// 1 / x mod p, public.
    pub fn invert(&self, x: u64) -> u64 {
        self.power(x, self.p - 2)
    }
}

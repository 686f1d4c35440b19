//! Words of B = `Z_{2^K}`: u64 for K = 64 and u128 for K = 128, with wrapping arithmetic only.

use zeroize::Zeroize;

/// One element of B. Every operation wraps; none branches on a value.
pub trait Word: Copy + Default + Eq + std::fmt::Debug + Zeroize + Send + Sync + 'static {
    /// K, the number of bits.
    const BITS: u32;
    /// K / 8.
    const BYTES: usize;
    /// Primes of the number-theoretic transform that make products of this word exact.
    const PRIMES: usize;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Sum mod 2^K.
    #[must_use]
    fn add(self, other: Self) -> Self;
    /// Difference mod 2^K.
    #[must_use]
    fn sub(self, other: Self) -> Self;
    /// Negative mod 2^K.
    #[must_use]
    fn neg(self) -> Self {
        Self::ZERO.sub(self)
    }
    /// Product mod 2^K.
    #[must_use]
    fn mul(self, other: Self) -> Self;
    /// Times `2^count`, `count < K`.
    #[must_use]
    fn shl(self, count: u32) -> Self;
    /// Logical shift right, `count < K`.
    #[must_use]
    fn shr(self, count: u32) -> Self;
    /// A signed integer mod 2^K.
    fn from_signed(value: i64) -> Self;
    /// The low K bits.
    fn from_u128(value: u128) -> Self;
    /// Zero-extended to 128 bits.
    fn to_u128(self) -> u128;
    /// At most K/8 little-endian bytes, zero-extended.
    fn read(bytes: &[u8]) -> Self;
    /// The low `out.len()` bytes, little endian.
    fn write(self, out: &mut [u8]);
    /// The low `bits` bits, `1 <= bits <= K`.
    #[must_use]
    fn low(self, bits: u32) -> Self {
        let cut = Self::BITS - bits;
        self.shl(cut).shr(cut)
    }
    /// The inverse of an odd word (Newton; x itself is right mod 8).
    #[must_use]
    fn inverse(self) -> Self {
        let two = Self::ONE.add(Self::ONE);
        let mut y = self;
        let mut right = 3;
        while right < Self::BITS {
            y = y.mul(two.sub(self.mul(y)));
            right *= 2;
        }
        y
    }
}

macro_rules! word {
    ($t:ty, $signed:ty, $primes:expr) => {
        impl Word for $t {
            const BITS: u32 = <$t>::BITS;
            const BYTES: usize = <$t>::BITS as usize / 8;
            const PRIMES: usize = $primes;
            const ZERO: Self = 0;
            const ONE: Self = 1;
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn shl(self, count: u32) -> Self {
                self << count
            }
            #[inline(always)]
            fn shr(self, count: u32) -> Self {
                self >> count
            }
            #[inline(always)]
            fn from_signed(value: i64) -> Self {
                <$signed>::from(value).cast_unsigned()
            }
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)] // meant: reduction mod 2^K
            fn from_u128(value: u128) -> Self {
                value as $t
            }
            #[inline(always)]
            fn to_u128(self) -> u128 {
                u128::from(self)
            }
            #[inline(always)]
            fn read(bytes: &[u8]) -> Self {
                if let Ok(full) = bytes.try_into() {
                    return Self::from_le_bytes(full);
                }
                let mut full = [0u8; Self::BYTES];
                full[..bytes.len()].copy_from_slice(bytes);
                Self::from_le_bytes(full)
            }
            #[inline(always)]
            fn write(self, out: &mut [u8]) {
                let count = out.len();
                if let Ok(full) = <&mut [u8; Self::BYTES]>::try_from(&mut *out) {
                    *full = self.to_le_bytes();
                    return;
                }
                out.copy_from_slice(&self.to_le_bytes()[..count]);
            }
        }
    };
}

word!(u64, i64, 3);
word!(u128, i128, 5);

//! A simulated device that errs as much as WGSL's accuracy table allows, and inputs for it.
#![allow(dead_code, reason = "each test uses a part of it")]

/// The worst device. Bit k of `up` says whether its operation number k errs upwards.
pub(crate) struct Device {
    pub(crate) up: u32,
    pub(crate) flush: bool,
}

impl Device {
    pub(crate) fn next_up(&mut self) -> bool {
        let up = self.up & 1 == 1;
        self.up >>= 1;
        up
    }

    pub(crate) fn flushed(&self, value: f32) -> f32 {
        if self.flush && value.is_subnormal() { 0.0 } else { value }
    }

    /// A neighbour of `value + rest`, where `rest` is far below an ulp of an f32.
    pub(crate) fn neighbour(&mut self, value: f64, rest: f64) -> f32 {
        let up = self.next_up();
        let nearest = value as f32;
        let above = match f64::from(nearest).total_cmp(&value) {
            std::cmp::Ordering::Equal => 0.0 - rest,
            _ => f64::from(nearest) - value,
        };
        let moved = match (up, above) {
            (true, above) if above < 0.0 => nearest.next_up(),
            (false, above) if above > 0.0 => nearest.next_down(),
            _ => nearest,
        };
        self.flushed(moved)
    }

    pub(crate) fn add(&mut self, a: f32, b: f32) -> f32 {
        let (a, b) = (f64::from(self.flushed(a)), f64::from(self.flushed(b)));
        let (large, small) = if a.abs() < b.abs() { (b, a) } else { (a, b) };
        let sum = large + small;
        self.neighbour(sum, small - (sum - large))
    }

    pub(crate) fn mul(&mut self, a: f32, b: f32) -> f32 {
        let product = f64::from(self.flushed(a)) * f64::from(self.flushed(b));
        self.neighbour(product, 0.0)
    }

    /// The farthest f32 within `ulps` of `value`.
    pub(crate) fn within(&mut self, value: f64, ulps: f64) -> f32 {
        let up = self.next_up();
        let power_of_two = f64::from_bits(value.to_bits() & (0x7ff << 52));
        let reach = ulps * power_of_two * f64::from(f32::EPSILON);
        let target = if up { value + reach } else { value - reach };
        let nearest = target as f32;
        let moved = match f64::from(nearest) {
            at if up && at > target => nearest.next_down(),
            at if !up && at < target => nearest.next_up(),
            _ => nearest,
        };
        self.flushed(moved)
    }

    pub(crate) fn div(&mut self, a: f32, b: f32) -> f32 {
        let quotient = f64::from(self.flushed(a)) / f64::from(self.flushed(b));
        if quotient == 0.0 { 0.0 } else { self.within(quotient, 2.5) }
    }

    pub(crate) fn square_root(&mut self, a: f32) -> f32 {
        let a = f64::from(self.flushed(a));
        let inverse = self.within(1.0 / a.sqrt(), 2.0);
        if a == 0.0 { 0.0 } else { self.div(1.0, inverse) }
    }
}

/// SplitMix64: a fixed sequence.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of magnitude 2^-exponents to 2^exponents. Half of them are close to a power of two,
    /// where the ratio of an ulp to its number is largest or smallest.
    pub(crate) fn number(&mut self, exponents: i32) -> f32 {
        let bits = self.bits();
        let exponent = 127 - exponents + ((bits >> 40) % (2 * exponents as u64)) as i32;
        let fraction = match (bits >> 33) & 3 {
            0 => bits as u32 & 0xff,
            1 => 0x007f_ff00 | bits as u32 & 0xff,
            _ => bits as u32 & 0x007f_ffff,
        };
        f32::from_bits((bits as u32 & 0x8000_0000) | (exponent as u32) << 23 | fraction)
    }
}

//! The textbook's function of two variables, and its gradient.

/// The coefficients of u1^2 and u2^2.
const CURVATURE: [f64; 2] = [0.1, 2.0];
const POINTS_PER_CONTOUR: u32 = 1000;

/// `0.1 u1^2 + 2 u2^2`, where u is x in axes rotated by an angle.
pub(super) struct Valley {
    sine: f64,
    cosine: f64,
}

impl Valley {
    /// The function rotated counter-clockwise.
    pub(super) fn rotated(degrees: f64) -> Self {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        Self { sine, cosine }
    }

    /// From x to u.
    fn in_axes(&self, [x1, x2]: [f64; 2]) -> [f64; 2] {
        [self.cosine * x1 + self.sine * x2, self.cosine * x2 - self.sine * x1]
    }

    /// From u to x.
    fn at_axes(&self, [u1, u2]: [f64; 2]) -> [f64; 2] {
        [self.cosine * u1 - self.sine * u2, self.sine * u1 + self.cosine * u2]
    }

    pub(super) fn gradient(&self, x: [f64; 2]) -> [f64; 2] {
        let [u1, u2] = self.in_axes(x);
        self.at_axes([2.0 * CURVATURE[0] * u1, 2.0 * CURVATURE[1] * u2])
    }

    /// The ellipse on which the function has the value `level`.
    pub(super) fn contour(&self, level: f64) -> Vec<[f64; 2]> {
        let [a, b] = CURVATURE.map(|curvature| (level / curvature).sqrt());
        let point = |index: u32| {
            let turn = f64::from(index) / f64::from(POINTS_PER_CONTOUR);
            let (sine, cosine) = (std::f64::consts::TAU * turn).sin_cos();
            self.at_axes([a * cosine, b * sine])
        };
        (0..=POINTS_PER_CONTOUR).map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At 0 degrees by hand: (0.2 x1, 4 x2). At 90 degrees the axes are swapped.
    #[test]
    fn gradients_by_hand() {
        assert_eq!(Valley::rotated(0.0).gradient([-5.0, -2.0]), [-1.0, -8.0]);
        let [g1, g2] = Valley::rotated(90.0).gradient([-5.0, -2.0]);
        assert!((g1 + 20.0).abs() < 1e-12 && (g2 + 0.4).abs() < 1e-12, "{g1} {g2}");
    }

    /// 0.05 (x1 + x2)^2 + (x1 - x2)^2 at (-5, -2): 0.1 (-7) + 2 (-3) = -6.7, and -0.7 + 6 = 5.3.
    #[test]
    fn at_45_degrees_it_is_half_the_textbooks_function() {
        let [g1, g2] = Valley::rotated(45.0).gradient([-5.0, -2.0]);
        assert!((g1 + 6.7).abs() < 1e-12 && (g2 - 5.3).abs() < 1e-12, "{g1} {g2}");
    }

    #[test]
    fn contours_have_their_level() {
        let valley = Valley::rotated(30.0);
        for point in valley.contour(3.0) {
            let [u1, u2] = valley.in_axes(point);
            assert!((0.1 * u1 * u1 + 2.0 * u2 * u2 - 3.0).abs() < 1e-12);
        }
    }
}

// Hardware arithmetic on four f32 numbers at a time, with the function names that rules use.
// exact.wgsl has the same functions on bit patterns. The accuracy is that of WGSL's
// table: + - * give one of the two neighbours of the exact result, / is within 2.5 ULP, and the
// square root is as accurate as 1 / inverseSqrt.

alias Real = vec4<f32>;
alias Scalar = f32;

fn splat(a: Scalar) -> Real { return vec4<f32>(a); }
fn from_bits(a: vec4<u32>) -> Real { return bitcast<vec4<f32>>(a); }
fn to_bits(a: Real) -> vec4<u32> { return bitcast<vec4<u32>>(a); }
fn negate(a: Real) -> Real { return -a; }
fn add(a: Real, b: Real) -> Real { return a + b; }
fn sub(a: Real, b: Real) -> Real { return a - b; }
fn mul(a: Real, b: Real) -> Real { return a * b; }
fn div(a: Real, b: Real) -> Real { return a / b; }
fn square_root(a: Real) -> Real { return sqrt(a); }

// The larger of two numbers. For NaN, or zeros of different sign, WGSL allows either operand.
fn maximum(a: Real, b: Real) -> Real { return max(a, b); }

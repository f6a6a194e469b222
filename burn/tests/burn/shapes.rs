//! Tensors that do not fit together are errors, and those without elements are left alone.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use wgpu_optim_burn::WgpuOptim;
use wgpu_optim_burn::wgpu_optim::{Adam, Precision, Sgd};

use super::errors::{fails_and_recovers, panic_message};
use super::support::{
    Cpu, Net, assert_bits, gradients, initial, like, module_optim, numbers, shared, values,
};

/// A gradient of one element less than the parameter.
fn short_gradient(net: &Net) -> GradientsParams {
    let mut grads = net.grads(&gradients(2));
    let data = TensorData::new(numbers(5, 2), [2]);
    grads.remove::<1>(net.bias.id);
    grads.register(net.bias.id, Tensor::<1>::from_data(data, &shared().device.clone().inner()));
    grads
}

#[test]
fn a_gradient_of_another_shape() {
    fails_and_recovers(
        |net| {
            let grads = short_gradient(&net);
            (0.125, net, grads)
        },
        |error| {
            let expected = "the parameter has the shape [3], but the gradient has [2]";
            assert_eq!(error.to_string(), expected);
        },
    );
    let mut optim = WgpuOptim::new(Sgd::default()).expect("a valid rule").init();
    let net = Net::new(7);
    let grads = short_gradient(&net);
    let message = panic_message(|| drop(optim.step(0.1, net, grads)));
    assert_eq!(message, "the parameter has the shape [3], but the gradient has [2]");
}

/// As where a model grows during training. Its state would be too short for the kernel.
#[test]
fn a_parameter_that_has_grown() {
    let grown = |net: &Net| {
        let bias = TensorData::new(numbers(6, 5), [5]);
        let bias = Tensor::<1>::from_data(bias, &shared().device).require_grad();
        let net = Net { bias: Param::initialized(net.bias.id, bias), ..net.clone() };
        let mut all = gradients(2);
        all[1] = numbers(7, 5);
        let grads = net.grads(&all);
        (net, grads)
    };
    let expected = "the parameter has the shape [5], but gradient_average has [3]";
    fails_and_recovers(
        |net| {
            let (net, grads) = grown(&net);
            (0.125, net, grads)
        },
        |error| assert_eq!(error.to_string(), expected),
    );
    let mut optim = WgpuOptim::new(Adam::default()).expect("a valid rule").init();
    let net = Net::new(7);
    let grads = net.grads(&gradients(1));
    let net = optim.step(0.1, net, grads);
    let (net, grads) = grown(&net);
    assert_eq!(panic_message(|| drop(optim.step(0.1, net, grads))), expected);
}

/// A module that adds two parameters of one shape: Burn gives both the same gradient.
#[derive(Module, Debug)]
struct Sum {
    base: Param<Tensor<1>>,
    change: Param<Tensor<1>>,
}

#[test]
fn parameters_that_share_a_gradient() {
    const LEN: usize = 100;
    let rule = Adam { learning_rate: 0.125, ..Adam::default() };
    let start = [numbers(1, LEN), numbers(2, LEN)];
    let device = &shared().device;
    let new = || {
        let [base, change] = start.clone().map(|values| TensorData::new(values, [LEN]));
        Sum { base: Param::from_data(base, device), change: Param::from_data(change, device) }
    };
    let mut at_once = module_optim(rule).with_precision(Precision::Exact);
    let launched = WgpuOptim::with_precision(rule, Precision::Exact).expect("a valid rule");
    let mut launched = launched.init();
    let mut cpu = Cpu::new(rule, &start);
    let mut sums = [new(), new()];
    for _ in 0..3 {
        let grads = |sum: &Sum| {
            let loss = (sum.base.val() + sum.change.val()).mul_scalar(0.5).sum();
            GradientsParams::from_grads(loss.backward(), sum)
        };
        let [a, b] = sums;
        let (of_a, of_b) = (grads(&a), grads(&b));
        sums = [at_once.step(0.125, a, of_a).expect("a step"), launched.step(0.125, b, of_b)];
        cpu.step(&[vec![0.5; LEN], vec![0.5; LEN]]);
    }
    for (name, sum) in ["at once", "launched"].into_iter().zip(sums) {
        assert_bits(name, &[values(sum.base.val()), values(sum.change.val())], &cpu.params);
    }
}

/// A module with a parameter that has no elements.
#[derive(Module, Debug)]
struct WithEmpty {
    empty: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

#[test]
fn a_parameter_without_elements() {
    let rule = Adam { learning_rate: 0.125, ..Adam::default() };
    let start = numbers(1, 3);
    let device = &shared().device;
    let new = || WithEmpty {
        empty: Param::from_data(TensorData::new(Vec::<f32>::new(), [0]), device),
        bias: Param::from_data(TensorData::new(start.clone(), [3]), device),
    };
    let grads = |net: &WithEmpty| {
        let mut grads = GradientsParams::new();
        grads.register(net.empty.id, like(&net.empty, &[]));
        grads.register(net.bias.id, like(&net.bias, &[0.5; 3]));
        grads
    };
    let mut cpu = Cpu::new(rule, std::slice::from_ref(&start));
    cpu.step(&[vec![0.5; 3]]);
    let mut optim = module_optim(rule).with_precision(Precision::Exact);
    let launched = WgpuOptim::with_precision(rule, Precision::Exact).expect("a valid rule");
    let (a, b) = (new(), new());
    let (of_a, of_b) = (grads(&a), grads(&b));
    let a = optim.step(0.125, a, of_a).expect("a step");
    let b = launched.init().step(0.125, b, of_b);
    for net in [a, b] {
        assert_bits("the other parameter", &[values(net.bias.val())], &cpu.params);
        assert_eq!(net.empty.val().dims(), [0]);
    }
}

/// An operation before the step fails, so that a gradient never arrives: nothing is stepped.
#[cfg(feature = "fusion")]
#[test]
fn a_gradient_whose_operation_failed() {
    use wgpu_optim_burn::OptimError;
    let rule = Adam { learning_rate: 0.125, ..Adam::default() };
    let new = || module_optim(rule).with_precision(Precision::Exact);
    let (mut optim, mut cpu) = (new(), Cpu::new(rule, &initial(7)));
    let net = Net::new(7);
    let grads = net.grads(&gradients(1));
    let net = optim.step(0.125, net, grads).expect("a step");
    cpu.step(&gradients(1));
    let saved = (net.clone(), optim.to_record());

    let mut grads = net.grads(&gradients(2));
    let gradient = grads.remove::<1>(net.bias.id).expect("a gradient");
    grads.register(net.bias.id, failing::failed(gradient));
    let failed = optim.step(0.125, net, grads).expect_err("an error");
    assert_eq!(failed.error, OptimError::Incomplete { missing: 1, all: 5 });
    assert_bits("another parameter", &[values(failed.module.wide.val())], &cpu.params[4..]);

    let (net, record) = saved;
    let mut optim = new().load_record(record);
    let grads = net.grads(&gradients(3));
    let net = optim.step(0.125, net, grads).expect("a step");
    cpu.step(&gradients(3));
    assert_bits("a step from the record", &net.values(), &cpu.params);
}

#[cfg(feature = "fusion")]
mod failing {
    use burn::backend::fusion::custom::{
        CustomOpIr, HandleContainer, Operation, OperationIr, StreamId, TensorIr,
    };
    use burn::backend::fusion::{FusionBackend, FusionRuntime};
    use burn::backend::wgpu::CubeBackend;
    use burn::backend::{ExecutionError, Wgpu};
    use burn::tensor::Tensor;

    type Runtime = <CubeBackend as FusionBackend>::FusionRuntime;
    type Handle = <Runtime as FusionRuntime>::FusionHandle;

    #[derive(Debug)]
    struct Fails;

    impl Operation<Runtime> for Fails {
        fn execute(&self, _: &mut HandleContainer<Handle>) -> Result<(), ExecutionError> {
            Err(ExecutionError::generic("as a test wants it"))
        }
    }

    /// A tensor like this one, as the result of an operation that fails.
    pub(super) fn failed(tensor: Tensor<1>) -> Tensor<1> {
        let input = tensor.try_into_primitive::<Wgpu>().expect("a tensor on wgpu");
        let client = input.client.clone();
        let id = client.create_empty_handle();
        let output = TensorIr::uninit(id, input.shape.clone(), input.dtype);
        let (inputs, outputs) = ([input.into_ir()], [output]);
        let operation = OperationIr::Custom(CustomOpIr::new("fails", &inputs, &outputs));
        let outputs = client.register(StreamId::current(), operation, Fails);
        let output = outputs.into_iter().next().expect("an output");
        Tensor::from_primitive::<Wgpu>(output)
    }
}

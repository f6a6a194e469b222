//! The rules of the comparison, as PyTorch has them, and how they step the network.

use burn::optim::GradientsParams;
use clap::ValueEnum;
use wgpu_optim_burn::wgpu_optim::{Adagrad, Adam, Gpu, Precision, RmsProp, Rule, Sgd};
use wgpu_optim_burn::{WgpuModuleOptim, WgpuOptim};

use crate::Failure;
use crate::network::SparseNn;

/// A rule of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Adagrad,
    Sgd,
    Adam,
    Rmsprop,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Adagrad, Self::Sgd, Self::Adam, Self::Rmsprop];

    pub fn name(self) -> &'static str {
        match self {
            Self::Adagrad => "Adagrad",
            Self::Sgd => "SGD",
            Self::Adam => "Adam",
            Self::Rmsprop => "RMSprop",
        }
    }

    /// The test accuracy that the tutorial gives.
    pub fn tutorial(self) -> f64 {
        match self {
            Self::Adagrad => 0.9350,
            Self::Sgd => 0.8950,
            Self::Adam => 0.9300,
            Self::Rmsprop => 0.8600,
        }
    }
}

/// How to step, but for the rule.
pub struct How {
    pub gpu: Gpu,
    pub learning_rate: f64,
    pub precision: Precision,
    /// All parameters in one submission, rather than each in Burn's own stream.
    pub at_once: bool,
}

/// Steps the network by its gradients.
pub type Step = Box<dyn FnMut(SparseNn, GradientsParams) -> Result<SparseNn, Failure>>;

impl How {
    /// A new optimizer of `kind`. Rules are PyTorch's: Adagrad's epsilon of 1e-10 stands outside of
    /// the root.
    pub fn step(&self, kind: Kind) -> Result<Step, Failure> {
        match kind {
            Kind::Adagrad => self.by(Adagrad::pytorch()),
            Kind::Sgd => self.by(Sgd { momentum: 0.9, ..Sgd::pytorch() }),
            Kind::Adam => self.by(Adam::pytorch()),
            Kind::Rmsprop => self.by(RmsProp { smoothing: 0.99, ..RmsProp::pytorch() }),
        }
    }

    fn by<R: Rule>(&self, rule: R) -> Result<Step, Failure> {
        let rate = self.learning_rate;
        if self.at_once {
            let mut optim = WgpuModuleOptim::new(&self.gpu, rule)?.with_precision(self.precision);
            let failed = |error| Failure::Run(format!("a step failed: {error}"));
            return Ok(Box::new(move |network, gradients| {
                optim.step(rate, network, gradients).map_err(|failure| failed(failure.error))
            }));
        }
        let mut optim = WgpuOptim::with_precision(rule, self.precision)?.init();
        Ok(Box::new(move |network, gradients| Ok(optim.step(rate, network, gradients))))
    }
}

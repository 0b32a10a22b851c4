//! A cluster of this machine: a real API server with the real controllers, and a kubelet that is played here.
//!
//! Pods of a ring become real `scrapering node` processes, and those of the chart real operators, each on a loopback address of its own. What a kubelet does with
//! mounts, names and addresses is done by rewriting the variables of the container; everything else (Secrets, probes,
//! readiness, termination, volume claims) goes as in a cluster. The binaries are found in `KUBEBUILDER_ASSETS`.

pub mod control_plane;
pub mod credentials;
pub mod cuts;
pub mod cutter;
pub mod helm;
pub mod kubelet;
pub mod load;
pub mod node_pod;
pub mod operator;
pub mod pod_process;
pub mod rights;
pub mod stage;
pub mod table;
pub mod volumes;
pub mod writer;

pub use control_plane::{ControlPlane, assets, workplace};
pub use helm::Helm;
pub use kubelet::Kubelet;
pub use operator::Operator;
pub use stage::Stage;

/// The variable that names the folder of `etcd`, `kube-apiserver` and `kube-controller-manager`.
pub const ASSETS: &str = "KUBEBUILDER_ASSETS";

//! What a handler takes says what it reads of a request, so that a handler cannot take what the document does not name.

use super::Operation;
use crate::auth::Caller;
use crate::gateway::GatewayState;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, Uri};

/// An argument of a handler.
pub(in crate::gateway) trait Input {
    /// Adds what it reads of a request, and the problems it finds there.
    fn describe(operation: &mut Operation);
}

/// All arguments of a handler; the first type is axum's mark of how they are read.
pub(in crate::gateway) trait Inputs {
    /// Adds what each of them reads.
    fn describe(operation: &mut Operation);
}

macro_rules! inputs {
    ($($argument:ident),*) => {
        impl<Mark, $($argument: Input),*> Inputs for (Mark, $($argument,)*) {
            fn describe(_operation: &mut Operation) {
                $($argument::describe(_operation);)*
            }
        }
    };
}
inputs!();
inputs!(A);
inputs!(A, B);
inputs!(A, B, C);
inputs!(A, B, C, D);
inputs!(A, B, C, D, E);
inputs!(A, B, C, D, E, F);
inputs!(A, B, C, D, E, F, G);

macro_rules! silent {
    ($($argument:ty),*) => {
        $(impl Input for $argument {
            fn describe(_: &mut Operation) {}
        })*
    };
}
// What these hold is named beside the route, by `takes` and `with_body`.
silent!(State<GatewayState>, Extension<Caller>, HeaderMap, Uri, Body);

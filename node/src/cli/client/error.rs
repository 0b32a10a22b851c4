//! What can go wrong between a command and a gateway.

use crate::auth::IssueError;
use crate::gateway::ProblemBody;
use rustls::CertificateError;
use std::error::Error;
use std::io;
use url::Url;

/// Why a request was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ClientError {
    /// The CA file is no certificate.
    #[error("the CA file holds no certificate in PEM form; give the ring's ca.pem with --ca")]
    Authority,
    /// No token could be made.
    #[error("no token could be made")]
    Token(#[source] IssueError),
    /// Nobody answers.
    #[error(
        "no gateway of the ring answers (the last one tried was {gateway}: {reason}); is it running? start it with: scrapering up"
    )]
    Unreachable {
        /// The last one tried.
        gateway: Url,
        /// In the system's words.
        reason: String,
    },
    /// Somebody answers who cannot prove to be the ring.
    #[error("{gateway} is not trusted: {reason}")]
    Certificate {
        /// Who.
        gateway: Url,
        /// What is wrong with the certificate and what to do.
        reason: &'static str,
    },
    /// The ring says no.
    #[error("{}", words(.0))]
    Problem(ProblemBody),
    /// A change may or may not have been made.
    #[error(
        "it is not known whether the change was made ({cause}); read the key: if its Operation-Id is {operation}, it was"
    )]
    Unknown {
        /// The change's name.
        operation: String,
        /// What happened.
        cause: String,
    },
    /// Something else listens there.
    #[error("{gateway} answered with {what}; is it a ScrapeRing gateway of this version?")]
    Strange {
        /// Who.
        gateway: Url,
        /// With what.
        what: String,
    },
}

fn words(problem: &ProblemBody) -> String {
    match problem.status {
        401 | 403 => format!("the ring refuses the token: {}", problem.detail),
        _ => problem.detail.clone(),
    }
}

impl ClientError {
    /// An answer that no gateway of ours gives.
    pub(super) fn strange(gateway: &Url, what: &str) -> Self {
        Self::Strange { gateway: gateway.clone(), what: what.to_owned() }
    }

    /// A request that was not answered.
    pub(super) fn of_transport(gateway: &Url, error: &reqwest::Error) -> Self {
        let gateway = gateway.clone();
        match tls_cause(error) {
            Some(rustls::Error::InvalidCertificate(fault)) => Self::Certificate { gateway, reason: reason(fault) },
            Some(_) => Self::Certificate {
                gateway,
                reason: "what listens there does not speak TLS as a gateway does; is the port right?",
            },
            None => Self::Unreachable { gateway, reason: root_cause(error) },
        }
    }

    /// Whether another attempt may end differently.
    pub(in crate::cli) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => problem.status == 429 || problem.status >= 500,
            _ => false,
        }
    }

    /// Which kind of problem the ring tells; `None` for what it did not tell.
    pub(in crate::cli) fn slug(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(problem.slug()),
            _ => None,
        }
    }

    /// Whether the ring says that there is no such job.
    pub(in crate::cli) fn is_no_job(&self) -> bool {
        self.slug() == Some("job-not-found")
    }
}

fn reason(fault: &CertificateError) -> &'static str {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; restart that node, which gives it a new one, or set this machine's clock right"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; set this machine's clock right"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name; use the host name or address that the certificate holds"
        }
        _ => {
            "its certificate was not issued by this ring's authority; another program or another ring listens there, choose another port or give its certificate with --ca"
        }
    }
}

/// The TLS error under `error`, if there is one; `io::Error` hides what it holds from the usual chain.
fn tls_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => cause.source(),
        };
    }
    None
}

fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &(dyn Error + 'static) = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, slug: &str) -> ClientError {
        ClientError::Problem(ProblemBody {
            kind: format!("https://scrapering.io/problems/{slug}"),
            title: "title".to_owned(),
            status,
            detail: "detail".to_owned(),
            errors: vec![],
        })
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(problem(503, "unavailable").may_pass());
        assert!(problem(504, "outcome-unknown").may_pass());
        assert!(problem(429, "rate-limited").may_pass());
        for status in [400, 401, 403, 404, 409, 413, 422] {
            assert!(!problem(status, "x").may_pass(), "{status}");
        }
        assert!(!ClientError::Authority.may_pass());
    }

    #[test]
    fn a_refused_token_is_told_as_one() {
        assert_eq!(problem(401, "unauthorized").to_string(), "the ring refuses the token: detail");
        assert_eq!(problem(409, "conflict").to_string(), "detail");
    }

    #[test]
    fn a_tls_error_is_found_inside_an_io_error() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls.clone()));
        assert_eq!(tls_cause(&wrapped), Some(&tls));
        assert!(reason(&CertificateError::Expired).contains("expired"));
        assert!(reason(&CertificateError::UnknownIssuer).contains("this ring's authority"));
    }
}

//! The sign-in page, in the languages that we have, and what somebody is told who is not let in.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::super::sso::Refused;
use super::super::{Problem, SsoSettings, form};

/// What the page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Language {
    English,
    Chinese,
}

impl Language {
    /// The first of ours that the browser names.
    pub(in super::super) fn of(headers: &HeaderMap) -> Self {
        let named = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let tags = named.unwrap_or_default().split(',').map(|tag| tag.trim().to_ascii_lowercase());
        let ours = tags.filter_map(|tag| match tag.split(['-', ';']).next() {
            Some("zh") => Some(Self::Chinese),
            Some("en") => Some(Self::English),
            _ => None,
        });
        ours.into_iter().next().unwrap_or(Self::English)
    }

    const fn pick(self, english: &'static str, chinese: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}

/// Why somebody is not let in.
#[derive(Debug)]
pub(in super::super) enum Why {
    ForeignOrigin,
    TooManyFailures,
    TooManyCodes,
    LinkUsed,
    WrongPassword,
    WrongCode,
    BadForm,
    Sso(Refused),
    /// Something of ours failed.
    Failed(Problem),
}

impl Why {
    /// For programs, and for people in English.
    pub(in super::super) fn problem(self) -> Problem {
        let text = self.words(Language::English).to_owned();
        let (status, code) = match self {
            Self::ForeignOrigin => (StatusCode::FORBIDDEN, "foreign_origin"),
            Self::TooManyFailures | Self::TooManyCodes => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_failures")
            }
            Self::LinkUsed | Self::WrongPassword | Self::WrongCode => {
                (StatusCode::UNAUTHORIZED, "unauthorized")
            }
            Self::BadForm => (StatusCode::BAD_REQUEST, "bad_body"),
            Self::Sso(refused) => (refused.status(), "sign_on"),
            Self::Failed(problem) => return problem,
        };
        Problem::new(status, code, text)
    }

    fn words(&self, language: Language) -> &str {
        match self {
            Self::ForeignOrigin => {
                language.pick("signing in works from our own pages only", "只能从本站页面登录")
            }
            Self::TooManyFailures => language.pick(
                "too many failed attempts from this address; wait a minute",
                "该地址登录失败次数过多，请一分钟后再试",
            ),
            Self::TooManyCodes => language.pick(
                "too many wrong codes; wait a quarter of an hour",
                "验证码错误次数过多，请十五分钟后再试",
            ),
            Self::LinkUsed => language.pick(
                "this link was used already, or is too old; `tributary user link` makes another",
                "此链接已被使用或已过期；可用 `tributary user link` 生成新的链接",
            ),
            Self::WrongPassword => {
                language.pick("the mail address or the password is wrong", "邮箱地址或密码不正确")
            }
            Self::WrongCode => language.pick(
                "the code is wrong, too old, or was used already; after five minutes begin again",
                "验证码错误、已过期或已被使用；五分钟后请重新登录",
            ),
            Self::BadForm => language.pick(
                "give `token`, or `email` and `password`, or `waiting` and `code`, as a form",
                "表单内容不正确",
            ),
            Self::Sso(refused) => {
                let (english, chinese) = refused.words();
                language.pick(english, chinese)
            }
            Self::Failed(problem) => &problem.detail,
        }
    }
}

impl<P: Into<Problem>> From<P> for Why {
    fn from(problem: P) -> Self {
        Self::Failed(problem.into())
    }
}

/// What the page asks for.
#[derive(Clone, Copy)]
pub(in super::super) enum Asked<'s> {
    /// A mail address and a password, or an account at a provider.
    Password(&'s [SsoSettings]),
    /// Nothing but the button; with the secret of a link.
    Button(&'s str),
    /// A code; with what the sign-in waits with.
    Code(&'s str),
}

/// The page with the button of a link, or with the fields for a password or a code. With `why`, it is said
/// why the last attempt failed.
pub(in super::super) fn page(language: Language, asked: Asked<'_>, why: Option<Why>) -> Response {
    let fields = match asked {
        Asked::Button(token) => format!("<input type=\"hidden\" name=\"token\" value=\"{token}\">"),
        Asked::Code(waiting) => format!(
            "<input type=\"hidden\" name=\"waiting\" value=\"{waiting}\"><label>{}<input \
             name=\"code\" autocomplete=\"one-time-code\" maxlength=\"64\" autofocus required></label>",
            language.pick("Code of your authenticator, or a recovery code", "验证器验证码或恢复码"),
        ),
        Asked::Password(_) => format!(
            "<label>{}<input name=\"email\" type=\"email\" autocomplete=\"username\" required></label>\
             <label>{}<input name=\"password\" type=\"password\" autocomplete=\"current-password\" \
             required></label>",
            language.pick("Mail address", "邮箱地址"),
            language.pick("Password", "密码"),
        ),
    };
    let providers = match asked {
        Asked::Password(providers) => providers.iter().map(link).collect(),
        Asked::Button(_) | Asked::Code(_) => String::new(),
    };
    let said = why
        .as_ref()
        .map(|why| format!("<p role=\"alert\">{}</p>", form::escape(why.words(language))));
    let status = why.map_or(StatusCode::OK, |why| why.problem().status);
    let title = language.pick("Sign in", "登录");
    let body = format!(
        "<h1>{title}</h1>{}<form method=\"post\" action=\"/console/sign-in\">{fields}\
         <button>{title}</button></form>{providers}",
        said.unwrap_or_default(),
    );
    let tag = language.pick("en", "zh");
    let mut response = form::page(status, tag, &format!("{title} – tributary"), &body);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-language"));
    response
}

/// A link, not a form: a policy for forms would hold for where the provider sends them too.
fn link(provider: &SsoSettings) -> String {
    let (name, label) = (&provider.name, form::escape(&provider.label));
    format!("<a class=\"sso\" href=\"/console/sso/{name}\">{label}</a>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_speaks_the_first_language_of_the_browser_that_we_have() {
        for (given, expected) in [
            ("", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("de-DE,de;q=0.9,zh;q=0.5", Language::Chinese),
            ("en-GB,zh;q=0.5", Language::English),
            ("zha", Language::English),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, given.parse().unwrap())]);
            assert_eq!(Language::of(&headers), expected, "{given}");
        }
    }
}

//! The shop's HTML: plain string building, so that a page costs the server next to nothing.

use std::fmt::Write;

use super::catalog::{CATEGORIES, Catalog, Product};

/// robots.txt: the cart and the back office are closed to crawlers.
pub fn robots(crawl_delay_s: Option<u32>) -> String {
    let mut text = "User-agent: *\nDisallow: /cart\nDisallow: /admin\n".to_owned();
    if let Some(seconds) = crawl_delay_s {
        put(&mut text, format_args!("Crawl-delay: {seconds}\n"));
    }
    text
}

/// The front page: departments, a dead link and a moved page.
pub fn home(catalog: &Catalog) -> String {
    let mut body = format!(
        "<h1>The Fixture Shop</h1>\n<p>{} things, none of them real.</p>\n<ul class=\"categories\">\n",
        catalog.products()
    );
    for (category, name) in CATEGORIES.iter().enumerate() {
        let count = catalog.products_in(category);
        put(&mut body, format_args!("<li><a href=\"/category/{name}?page=1\">{name}</a> ({count})</li>\n"));
    }
    body.push_str("</ul>\n<p><a href=\"/summer-sale\">Last year's sale</a> is over.</p>\n");
    document("The Fixture Shop", &body)
}

/// One listing page of a department.
pub fn listing(catalog: &Catalog, category: usize, page: u32, products: &[u32]) -> String {
    let name = CATEGORIES[category];
    let pages = catalog.listing_pages(category);
    let mut body = format!("<h1>{name}</h1>\n<ol class=\"products\">\n");
    for product in products.iter().filter_map(|&id| catalog.product(id)) {
        put(
            &mut body,
            format_args!(
                "<li><a class=\"product-link\" href=\"/product/{}\">{}</a> <span class=\"price\">{}</span></li>\n",
                product.id,
                product.name,
                price(product.price_pence)
            ),
        );
    }
    put(&mut body, format_args!("</ol>\n<ul class=\"pager\">\n<li class=\"current\">Page {page} of {pages}</li>\n"));
    if page < pages {
        put(
            &mut body,
            format_args!("<li class=\"next\"><a href=\"/category/{name}?page={}\">next</a></li>\n", page + 1),
        );
    }
    body.push_str("</ul>\n");
    document(&format!("{name}, page {page}"), &body)
}

/// The page of one product, about 10 KB with some 20 links.
pub fn product(product: &Product) -> String {
    let category = CATEGORIES[product.category];
    let mut body = format!(
        "<p class=\"breadcrumb\"><a href=\"/\">Shop</a> / <a href=\"/category/{category}?page=1\">{category}</a></p>\n\
         <article class=\"product\" data-id=\"{id}\">\n<h1>{name}</h1>\n\
         <p class=\"price\">{price}</p>\n<img src=\"/images/{id}.jpg\" alt=\"{name}\" width=\"400\" height=\"300\">\n\
         <div class=\"description\">\n",
        id = product.id,
        name = product.name,
        price = price(product.price_pence),
    );
    let (description, reviews) = product.paragraphs.split_at(product.paragraphs.len().min(2));
    for paragraph in description {
        put(&mut body, format_args!("<p>{paragraph}</p>\n"));
    }
    body.push_str("</div>\n<table class=\"specs\">\n");
    for (name, value) in &product.specs {
        put(&mut body, format_args!("<tr><th>{name}</th><td>{value}</td></tr>\n"));
    }
    put(
        &mut body,
        format_args!("</table>\n<p><a class=\"buy\" href=\"/cart?add={}\">Put into the cart</a></p>\n", product.id),
    );
    body.push_str("<section class=\"reviews\">\n<h2>What buyers say</h2>\n");
    for (number, review) in reviews.iter().enumerate() {
        put(&mut body, format_args!("<div class=\"review\"><h3>Buyer {}</h3><p>{review}</p></div>\n", number + 1));
    }
    body.push_str("</section>\n</article>\n<ul class=\"related\">\n");
    for other in &product.related {
        put(&mut body, format_args!("<li><a href=\"/product/{other}\">No. {other}</a></li>\n"));
    }
    body.push_str("</ul>\n");
    document(&product.name, &body)
}

/// Any other page: a heading and a sentence.
pub fn plain(title: &str, sentence: &str) -> String {
    document(title, &format!("<h1>{title}</h1>\n<p>{sentence}</p>\n"))
}

/// Pence as the shop writes them: `£1,234.50`.
pub fn price(pence: u64) -> String {
    let pounds = (pence / 100).to_string();
    let mut text = "£".to_owned();
    for (place, digit) in pounds.chars().enumerate() {
        if place > 0 && (pounds.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    put(&mut text, format_args!(".{:02}", pence % 100));
    text
}

fn document(title: &str, body: &str) -> String {
    let mut page = String::with_capacity(body.len() + 2_000);
    put(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n</head>\n<body>\n<nav>\n<a href=\"/\">Home</a>\n"
        ),
    );
    for name in CATEGORIES {
        put(&mut page, format_args!("<a href=\"/category/{name}?page=1\">{name}</a>\n"));
    }
    page.push_str("<a href=\"/cart\">Cart</a>\n</nav>\n");
    page.push_str(body);
    page.push_str(
        "<footer><a href=\"/about-us\">About us</a> <a href=\"/admin\">Staff</a></footer>\n</body>\n</html>\n",
    );
    page
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use scraper::{Html, Selector};

    use super::*;

    fn texts(page: &str, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).unwrap();
        Html::parse_document(page).select(&selector).map(|element| element.text().collect()).collect()
    }

    fn links(page: &str, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).unwrap();
        Html::parse_document(page).select(&selector).filter_map(|a| a.attr("href").map(str::to_owned)).collect()
    }

    #[test]
    fn prices_have_a_thousands_separator_and_two_decimals() {
        assert_eq!(price(99), "£0.99");
        assert_eq!(price(12_305), "£123.05");
        assert_eq!(price(123_450), "£1,234.50");
        assert_eq!(price(123_456_700), "£1,234,567.00");
    }

    #[test]
    fn a_product_page_has_every_part_about_ten_kilobytes_and_twenty_links() {
        let catalog = Catalog::new(5, 200);
        for id in 1..=200 {
            let made = catalog.product(id).unwrap();
            let page = product(&made);
            assert_eq!(texts(&page, "article.product h1"), [made.name]);
            assert_eq!(texts(&page, "article.product .price"), [price(made.price_pence)]);
            assert_eq!(texts(&page, "table.specs tr th").len(), made.specs.len());
            assert_eq!(texts(&page, "article.product img").len(), 1);
            assert_eq!(texts(&page, "article.product .description").len(), 1);
            assert!((9_000..=12_000).contains(&page.len()), "page {id} has {} bytes", page.len());
            let links = links(&page, "a[href]").len();
            assert!((18..=22).contains(&links), "page {id} has {links} links");
        }
    }

    #[test]
    fn listing_pages_lead_to_their_products_and_to_the_next_page_until_the_last() {
        let catalog = Catalog::new(5, 200);
        let first = listing(&catalog, 2, 1, &catalog.listing(2, 1).unwrap());
        assert_eq!(links(&first, "a.product-link").len(), 24);
        assert_eq!(links(&first, "li.next a"), ["/category/garden?page=2"]);
        let last = listing(&catalog, 2, 2, &catalog.listing(2, 2).unwrap());
        assert_eq!(links(&last, "a.product-link").len(), 1);
        assert_eq!(links(&last, "li.next a"), [""; 0]);
    }

    #[test]
    fn robots_asks_for_a_delay_only_when_told_to() {
        assert!(!robots(None).contains("Crawl-delay"));
        assert!(robots(Some(2)).ends_with("Crawl-delay: 2\n"));
    }
}

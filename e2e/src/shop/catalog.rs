//! What the shop sells, drawn from a seed: each product can be made by itself, in any order.

/// The shop's departments, as they stand in paths.
pub const CATEGORIES: [&str; 8] =
    ["lighting", "kitchen", "garden", "stationery", "textiles", "tools", "toys", "travel"];

/// Products on one listing page.
pub const PAGE_SIZE: u32 = 24;

/// Related products that a product links to.
const RELATED: usize = 6;

const MATERIALS: [&str; 10] = ["Walnut", "Brass", "Linen", "Enamel", "Oak", "Wool", "Steel", "Cork", "Glass", "Bamboo"];
const KINDS: [&str; 12] =
    ["Lamp", "Kettle", "Trowel", "Notebook", "Blanket", "Plane", "Top", "Satchel", "Bowl", "Basket", "Clock", "Stool"];
const STYLES: [&str; 8] = ["Compact", "Classic", "Folding", "Heavy", "Quiet", "Striped", "Tall", "Travel"];
const ORIGINS: [&str; 6] = ["Portugal", "Cuba", "Japan", "Wales", "Norway", "Peru"];
const WORDS: [&str; 40] = [
    "made",
    "by",
    "hand",
    "and",
    "finished",
    "with",
    "care",
    "the",
    "grain",
    "is",
    "kept",
    "visible",
    "so",
    "every",
    "piece",
    "looks",
    "its",
    "own",
    "part",
    "light",
    "enough",
    "to",
    "carry",
    "yet",
    "sturdy",
    "for",
    "years",
    "of",
    "daily",
    "use",
    "wipe",
    "clean",
    "after",
    "oil",
    "once",
    "a",
    "season",
    "store",
    "somewhere",
    "dry",
];

/// The whole assortment, not yet made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catalog {
    seed: u64,
    products: u32,
}

/// One product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its number, from 1.
    pub id: u32,
    /// Its name; the number in it makes it unique.
    pub name: String,
    /// The department, an index of [`CATEGORIES`].
    pub category: usize,
    /// What it costs, in pence.
    pub price_pence: u64,
    /// Rows of its table of specifications.
    pub specs: Vec<(&'static str, String)>,
    /// Numbers of other products, without repetition.
    pub related: Vec<u32>,
    /// What is said about it, a paragraph each.
    pub paragraphs: Vec<String>,
}

impl Catalog {
    /// A shop of `products` products, at least one.
    pub fn new(seed: u64, products: u32) -> Self {
        Self { seed, products: products.max(1) }
    }

    /// How many products there are.
    pub fn products(&self) -> u32 {
        self.products
    }

    /// How many products a department has: numbers are dealt out in turn.
    pub fn products_in(&self, category: usize) -> u32 {
        let departments = count(CATEGORIES.len());
        (self.products + departments - 1 - count(category)) / departments
    }

    /// How many listing pages a department has, at least one.
    pub fn listing_pages(&self, category: usize) -> u32 {
        self.products_in(category).div_ceil(PAGE_SIZE).max(1)
    }

    /// The products of one listing page, counted from 1; `None` behind the last page.
    pub fn listing(&self, category: usize, page: u32) -> Option<Vec<u32>> {
        if page == 0 || page > self.listing_pages(category) {
            return None;
        }
        let departments = count(CATEGORIES.len());
        let first = (page - 1) * PAGE_SIZE;
        let end = (first + PAGE_SIZE).min(self.products_in(category));
        Some((first..end).map(|place| place * departments + count(category) + 1).collect())
    }

    /// The product that is busy the first time it is asked for.
    pub fn busy_product(&self) -> u32 {
        self.products.min(13)
    }

    /// Makes a product; `None` for a number that the shop does not have.
    pub fn product(&self, id: u32) -> Option<Product> {
        if id == 0 || id > self.products {
            return None;
        }
        let mut dice = Dice::new(self.seed ^ (u64::from(id) << 32));
        let name = format!("{} {} {} No. {id}", dice.pick(&STYLES), dice.pick(&MATERIALS), dice.pick(&KINDS));
        // Every fifth product is dear enough for a thousands separator.
        let top = if dice.below(5) == 0 { 900_000 } else { 30_000 };
        Some(Product {
            id,
            name,
            category: (id as usize - 1) % CATEGORIES.len(),
            price_pence: 99 + dice.below(top),
            specs: specs(&mut dice),
            related: self.related(id, &mut dice),
            paragraphs: (0..27).map(|_| paragraph(&mut dice, 50)).collect(),
        })
    }

    fn related(&self, id: u32, dice: &mut Dice) -> Vec<u32> {
        let mut related = Vec::with_capacity(RELATED);
        for _ in 0..4 * RELATED {
            let other = 1 + u32::try_from(dice.below(u64::from(self.products))).unwrap_or(0);
            if related.len() < RELATED && other != id && !related.contains(&other) {
                related.push(other);
            }
        }
        related
    }
}

fn specs(dice: &mut Dice) -> Vec<(&'static str, String)> {
    vec![
        ("Material", dice.pick(&MATERIALS).to_owned()),
        ("Made in", dice.pick(&ORIGINS).to_owned()),
        ("Width", format!("{} mm", 20 + dice.below(900))),
        ("Height", format!("{} mm", 20 + dice.below(900))),
        ("Weight", format!("{} g", 15 + dice.below(9_000))),
        ("Guarantee", format!("{} years", 1 + dice.below(10))),
        ("Stock", dice.below(400).to_string()),
    ]
}

fn paragraph(dice: &mut Dice, words: usize) -> String {
    let mut text = String::with_capacity(words * 6);
    for place in 0..words {
        let word = dice.pick(&WORDS);
        if place % 15 == 0 {
            text.push_str(if place == 0 { "" } else { ". " });
            text.push_str(&word[..1].to_ascii_uppercase());
            text.push_str(&word[1..]);
        } else {
            text.push(' ');
            text.push_str(word);
        }
    }
    text.push('.');
    text
}

fn count(number: usize) -> u32 {
    u32::try_from(number).expect("a number of departments is small")
}

/// SplitMix64 (Steele, Lea, Flood 2014): a few lines that give the same catalogue for ever, whatever a library changes.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let place = self.below(choices.len() as u64);
        choices[usize::try_from(place).expect("a place in a slice is a usize")]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_product_and_another_seed_another() {
        let one = Catalog::new(7, 50).product(13).unwrap();
        assert_eq!(Catalog::new(7, 50).product(13).unwrap(), one);
        assert_ne!(Catalog::new(8, 50).product(13).unwrap(), one);
    }

    #[test]
    fn every_product_stands_on_exactly_one_listing_page() {
        for products in [1, 7, 8, 9, 200, 1001] {
            let catalog = Catalog::new(1, products);
            let mut seen = BTreeSet::new();
            for category in 0..CATEGORIES.len() {
                for page in 1..=catalog.listing_pages(category) {
                    for id in catalog.listing(category, page).unwrap() {
                        assert!(seen.insert(id), "{id} stands twice in a shop of {products}");
                        assert_eq!(catalog.product(id).unwrap().category, category);
                    }
                }
                assert_eq!(catalog.listing(category, catalog.listing_pages(category) + 1), None);
            }
            assert_eq!(seen, (1..=products).collect());
        }
    }

    #[test]
    fn a_number_that_is_not_for_sale_has_no_product() {
        let catalog = Catalog::new(1, 5);
        assert_eq!(catalog.product(0), None);
        assert_eq!(catalog.product(6), None);
        assert_eq!(catalog.listing(0, 0), None);
    }

    #[test]
    fn related_products_exist_differ_and_are_not_the_product_itself() {
        let catalog = Catalog::new(3, 200);
        for id in 1..=200 {
            let related = catalog.product(id).unwrap().related;
            assert_eq!(related.iter().collect::<BTreeSet<_>>().len(), related.len());
            assert!(related.iter().all(|&other| other != id && (1..=200).contains(&other)));
        }
    }
}

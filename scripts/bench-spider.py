"""The job of the benchmark as a Scrapy spider: every page of the host, title and price of each product."""

from urllib.parse import urlsplit

import scrapy


class Shop(scrapy.Spider):
    name = "shop"

    def __init__(self, start, **kwargs):
        super().__init__(**kwargs)
        self.start_urls = [start]
        self.origin = urlsplit(start)[:2]

    def parse(self, response):
        for product in response.css("article.product"):
            yield {"title": product.css("h1::text").get(), "price": product.css(".price::text").get()}
        for href in response.css("a::attr(href)").getall():
            url = response.urljoin(href)
            if urlsplit(url)[:2] == self.origin:
                yield scrapy.Request(url)

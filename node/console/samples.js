// What a new job or schedule may begin with.

const JOB = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\n";

export const JOBS = {
  "A shop": `${JOB}metadata:
  name: shop
spec:
  seeds:
    - url: https://shop.example/
  scope:
    scopeType: host
    maxDepth: 6
  follow:
    - selector: ul.categories a
    - selector: a.product-link
    - selector: li.next a
  politeness:
    delay: 1s
    concurrentRequestsPerHost: 1
  limits:
    maxPages: 1000
  extract:
    - name: product
      baseSelector: article.product
      fields:
        - name: title
          selector: h1
          required: true
        - name: price
          selector: .price
          type: number
        - name: image
          selector: img
          type: url
`,
  "Headings of a site": `${JOB}metadata:
  name: docs
spec:
  seeds:
    - url: https://docs.example/
  scope:
    scopeType: prefix
  limits:
    maxPages: 500
  extract:
    - name: page
      fields:
        - name: title
          selector: title
          required: true
        - name: headings
          selector: h1, h2, h3
          type: list
          of: text
`,
  "One page": `${JOB}metadata:
  name: one-page
spec:
  seeds:
    - url: https://news.example/
  scope:
    maxDepth: 0
  extract:
    - name: headline
      baseSelector: article
      fields:
        - name: title
          selector: h2
        - name: link
          selector: a
          type: url
`,
};

export const SCHEDULES = {
  "Every night": `apiVersion: scrapering.io/v1alpha1
kind: ScrapeSchedule
metadata:
  name: nightly
spec:
  schedule: "30 4 * * *"
  timeZone: Europe/Berlin
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 7200
  successfulJobsHistoryLimit: 7
  jobTemplate:
    spec:
      seeds:
        - url: https://docs.example/
      scope:
        scopeType: prefix
      limits:
        maxPages: 500
      extract:
        - name: page
          fields:
            - name: title
              selector: title
              required: true
`,
};

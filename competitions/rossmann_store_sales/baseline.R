# A random forest by ranger: reads fit.csv (features and target) and rows.csv (features), writes
# result.csv (prediction). Arguments: trees, threads, seed.
suppressPackageStartupMessages({
  library(data.table)
  library(ranger)
})
arguments <- as.integer(commandArgs(trailingOnly = TRUE))
fit <- fread("fit.csv")
rows <- fread("rows.csv")

# ranger takes no missing values here: the middle of the fit rows stands in for them.
for (name in names(rows)) {
  middle <- median(fit[[name]], na.rm = TRUE)
  set(fit, which(is.na(fit[[name]])), name, middle)
  set(rows, which(is.na(rows[[name]])), name, middle)
}

forest <- ranger(
  target ~ ., data = fit, num.trees = arguments[1], num.threads = arguments[2],
  seed = arguments[3], mtry = floor(ncol(rows) / 3), min.node.size = 5
)
fwrite(data.table(prediction = predict(forest, rows, num.threads = arguments[2])$predictions),
       "result.csv")

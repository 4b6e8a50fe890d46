#!/bin/bash
# Run by the platform when it builds the function.
set -e
virtualenv --without-pip virtualenv
pip install -r requirements.txt --target virtualenv/lib/python3.12/site-packages

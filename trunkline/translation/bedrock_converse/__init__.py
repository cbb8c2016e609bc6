"""Amazon Bedrock's Converse and ConverseStream, to and from the neutral form."""
